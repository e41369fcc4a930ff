"""What can be done with a head: each a function over `Head`."""
