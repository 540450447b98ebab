"""What is kept of each run for looking back over many, and what follows from it. Pure: values in, values out."""
