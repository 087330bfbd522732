"""A million incidents, and what reading them is held against."""
