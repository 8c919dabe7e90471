"""Drop-ins for other entropy coders: the same names, arguments and bytes."""
