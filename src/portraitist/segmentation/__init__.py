"""What each pixel shows: person, hair, skin and the features of a face."""
