"""What int8 needs beside the conversion itself."""
