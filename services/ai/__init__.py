"""What AI does here: it doubts readings, computes bills a second time and words messages.

The rules and the rating engine decide; nothing here can clear a failed rule or change an amount.
"""
