"""What a DICOM node meets in the wild: hostile input (H) and odd but honest peers (T); see `registry`."""
