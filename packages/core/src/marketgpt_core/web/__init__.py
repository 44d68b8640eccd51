"""What our pages share, on whatever port they are served; needs nothing beyond the standard library."""
