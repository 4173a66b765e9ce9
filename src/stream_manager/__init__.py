"""Live video streams that do not go down."""
