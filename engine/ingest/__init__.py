"""From files to rows of an archive; and known clips embedded again."""
