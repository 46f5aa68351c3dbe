"""The words beside a picture: as they are written, and as they change from use to use."""
