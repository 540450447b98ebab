"""The API server: what a request means, and what it is answered. Objects are plain dicts that are never changed."""
