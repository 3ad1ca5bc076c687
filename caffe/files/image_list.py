"""Lists of pictures: a path and a label a line, as ImageData and convert_imageset read them."""

from . import allowed


def read_image_list(path: str) -> list[tuple[str, int]]:
    """(path of a picture, its label) a line; the label stands behind the last blank.

    Empty lines are skipped. OSError if the list cannot be opened, ValueError, naming the line, for
    a line without a whole number at its end.
    """
    pictures = []
    # a name that is not UTF-8 is kept as it is, for the file system to find
    with open(allowed.to_read(path), encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            name, _, label = line.rstrip().rpartition(" ")
            try:
                pictures.append((name.rstrip(), int(label)))
            except ValueError:
                raise ValueError(
                    f"{path}, line {number}: a path and a whole number are needed, "
                    f"got '{line.rstrip()}'"
                ) from None
    return pictures
