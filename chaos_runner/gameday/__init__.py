"""Game days: what a scenario file says, what was said and done on the day, and what that comes to. No IO, no clock.

`scenario` is the file, `facts` are what is kept of a day, `day` is their fold.
"""
