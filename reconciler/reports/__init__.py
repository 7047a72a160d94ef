"""Problems as other programs read them: one file a format, each a pure function from a `Report` to text."""
