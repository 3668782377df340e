"""What nobody sends by mistake: rubbish of every kind, where it can be put in, and what is counted of it."""
