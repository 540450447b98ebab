"""What people watch and speak through: the picture of a run, and the consoles of a game day.

A console reads the store and speaks at the desk. It holds nothing that anybody needs: its death changes nothing.
"""
