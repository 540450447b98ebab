"""What a hostile user and a crash were seen to break, and must never break again."""
