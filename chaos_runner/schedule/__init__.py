"""When experiments run on their own: calendars, cron, coins, slots, and why or why not.

Pure: no clock, file or socket; times and texts are arguments. Times are whole seconds since 1970 (UTC) unless they are
called local. Only the tables of time zones are read, by `zoneinfo`.
"""
