"""The embedded archive: objects in a folder, an index of them in a database, and the provider on top."""
