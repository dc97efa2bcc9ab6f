"""Names of images: the one place that decides which file on disk an annotation means."""

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2"),
)


def image_name(path: str) -> str:
    """Return the name of an image: without its folder, and with the suffix .jpg whatever the file's is.

    `train/000001.JPG`, `000001.png` and `000001` are all 000001.jpg. Annotations and files are compared by this name,
    so that a list may have another suffix, or none, and the files may be in another folder.
    """
    name = path.replace("\\", "/").rpartition("/")[2].strip()  # some Windows tools write backslashes
    return name if name.endswith(".jpg") else f"{name.rpartition('.')[0] if has_image_suffix(name) else name}.jpg"


def has_image_suffix(path: str) -> bool:
    """Return whether a name ends as an image's does (.jpg, .PNG, …)."""
    return path.strip().lower().endswith(IMAGE_SUFFIXES)


def is_litter(path: str) -> bool:
    """Return whether a file is one that a system leaves beside the data: `._000001.jpg`, `__MACOSX/`, `.DS_Store`."""
    path = path.replace("\\", "/")
    return path.startswith(".") or "/." in path or "__MACOSX" in path or path.lower().endswith("thumbs.db")
