"""The rest of the person: neck, shoulders and clothes."""
