"""The controllers: each makes what is there more like what was asked for, one object at a time, without waiting."""
