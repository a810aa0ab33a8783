"""Files on disk: permissions of an archive, fsync."""
