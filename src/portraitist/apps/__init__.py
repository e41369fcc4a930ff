"""What a stylized head is made for (Sec. 7): each a function over ``Head``."""
