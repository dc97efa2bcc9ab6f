"""Any image file -> an upright RGB image: turned photos, every mode, and refusals with the true reason."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from helpers.data.decoding import decode
from helpers.data.rgb import GREY, MOST_PIXELS, Unreadable, read_rgb, suffixes
from helpers.errors import StudyError

BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> the transposition that stores an image so
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}"/>{}</x:xmpmeta>'


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(image: Image.Image, *segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + encoded(image, "JPEG", quality=95)[2:]


def exif_segment(orientation: int) -> bytes:
    return segment(0xE1, exif(orientation))


def xmp_segment(orientation: int, padding: int = 0) -> bytes:
    packet = XMP.format(orientation, " " * padding)
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(image: Image.Image, kind: bytes, data: bytes, before: bytes) -> bytes:
    """Return a PNG with one more chunk before that of kind `before`."""
    data, plain = chunk(kind, data), encoded(image, "PNG")
    place = plain.index(before) - 4
    return plain[:place] + data + plain[place:]


def xmp_chunk(image: Image.Image, orientation: int) -> bytes:
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format(orientation, "").encode()
    return png_with(image, b"iTXt", text, b"IDAT")


TURNED = {
    "EXIF": lambda image, turn: jpeg(image, exif_segment(turn)),
    "EXIF behind a comment": lambda image, turn: jpeg(image, segment(0xFE, b"c" * 9000), exif_segment(turn)),
    "EXIF behind XMP": lambda image, turn: jpeg(image, xmp_segment(turn, 8000), exif_segment(turn)),
    "EXIF that counts more than XMP": lambda image, turn: jpeg(image, xmp_segment(1), exif_segment(turn)),
    "XMP alone": lambda image, turn: jpeg(image, xmp_segment(turn)),
    "XMP behind a comment": lambda image, turn: jpeg(image, segment(0xFE, b"c" * 60000), xmp_segment(turn)),
    "PNG": lambda image, turn: encoded(image, "PNG", exif=exif(turn)),
    "PNG, behind the pixels": lambda image, turn: png_with(image, b"eXIf", exif(turn)[6:], b"IEND"),
    "PNG, XMP alone": xmp_chunk,
    "TIFF": lambda image, turn: encoded(image, "TIFF", exif=exif(turn)),
    "WebP": lambda image, turn: encoded(image, "WEBP", exif=exif(turn), lossless=True),
    "AVIF": lambda image, turn: encoded(image, "AVIF", exif=exif(turn), quality=100),
}


@pytest.fixture(scope="module")
def face(dataset):
    name = dataset.annotations.index[0]
    return Image.open(io.BytesIO(dataset.images.read(name))).convert("RGB")


@pytest.mark.parametrize("kind", TURNED)
@pytest.mark.parametrize("orientation", BACK)
def test_a_turned_photo_is_seen_upright_wherever_it_says_so(kind, orientation, face):
    stored = face.transpose(Image.Transpose(BACK[orientation]))
    upright, seen = (decode(TURNED[kind](image, turn), "test") for image, turn in ((face, 1), (stored, orientation)))
    assert np.abs(seen.astype(int) - upright).mean() < 1
    if kind.startswith(("PNG", "TIFF", "WebP")):  # without loss, they are the same pixels
        assert (seen == upright).all()


def test_metadata_that_cannot_be_read_turn_nothing(face):
    broken = jpeg(face, segment(0xE1, b"Exif\0\0MM\0*" + bytes([255]) * 40))
    assert (decode(broken, "test") == decode(jpeg(face), "test")).all()


# Modes


def tiff(values: np.ndarray, sample_format: int) -> bytes:
    """Return a grey TIFF of numbers of any kind; its sample format is 1 unsigned, 2 signed or 3 float."""
    data = values.tobytes()
    height, width = values.shape
    tags = {256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height}
    tags |= {279: len(data), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))
WIDE = {
    "16 bits": encoded(Image.fromarray((RAMP * 65535).astype(np.uint16)), "PNG"),
    "16 bits, TIFF": tiff((RAMP * 65535).astype("<u2"), 1),
    "12 bits in 16": tiff((RAMP * 4095).astype("<u2"), 1),
    "8 bits in 16": tiff((RAMP * 255).astype("<u2"), 1),
    "8 bits in 32": tiff((RAMP * 255).astype("<i4"), 2),
    "16 bits in 32": tiff((RAMP * 65535).astype("<u4"), 1),
    "31 bits in 32": tiff((RAMP * (2**31 - 1)).astype("<i4"), 2),
    "32 bits": tiff((RAMP * (2**32 - 1)).astype("<u4"), 1),
    "floats up to 1": tiff(RAMP.astype("<f4"), 3),
    "floats up to 255": tiff((RAMP * 255).astype("<f4"), 3),
    "floats up to 65,535": tiff((RAMP * 65535).astype("<f4"), 3),
    "floats, some beyond 1": tiff(np.where(np.arange(4096).reshape(64, 64) % 500, RAMP, 1.2).astype("<f4"), 3),
    "a PGM of 16 bits": b"P5 64 64 65535\n" + (RAMP * 65535).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", WIDE)
def test_wide_numbers_are_scaled_by_the_range_that_they_need(kind):
    seen = decode(WIDE[kind], "test").astype(int)
    off = np.abs(seen - (RAMP * 255))
    assert np.median(off) <= 1 and off.mean() <= 2 and (seen[0] == seen[2]).all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((9, 9), np.nan, "<f4"), "not finite"),
        (np.where(np.eye(9), np.inf, 0).astype("<f4"), "not finite"),
        (np.linspace(-1, 1, 81).reshape(9, 9).astype("<f4"), r"unknown range \(its values are -1 to 1\)"),
        (np.full((9, 9), 1e20, "<f4"), "unknown range"),
        (np.linspace(-500, 255, 81).reshape(9, 9).astype("<i4"), "unknown range"),
    ],
)
def test_wide_numbers_without_a_clear_range_are_refused_and_not_answered_as_black(values, reason):
    with pytest.raises(StudyError, match=f"photo.tif is an image .*{reason}"):
        decode(tiff(values, 3 if values.dtype == "<f4" else 2), "photo.tif")


def test_black_and_white_stay_black_and_white_in_every_width():
    for dtype, white in ((np.uint16, 65535), (np.float32, 1)):
        for value in (0, white):
            image = Image.fromarray(np.full((9, 9), value, dtype))
            assert (decode(encoded(image, "TIFF"), "test") == (255 if value else 0)).all()


def half_transparent(mode: str) -> bytes:
    """Return a black PNG or GIF, transparent on its right half."""
    if mode == "16":
        pixels = np.repeat([[0, 7777]], 32, 1).repeat(64, 0).astype(np.uint16)
        return encoded(Image.fromarray(pixels), "PNG", transparency=7777)
    if mode == "RGB 16":
        row = struct.pack(">6H", *(0, 0, 0), *(7777, 8888, 9999))
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)) + chunk(b"tRNS", row[6:])
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    image = Image.new("RGBA", (64, 64), "black")
    image.paste((200, 10, 10, 0), (32, 0, 64, 64))
    if mode in ("L", "RGB", "P key"):  # one value stands for transparent
        keyed = Image.new("RGB", (64, 64), "black")
        keyed.paste("white", (32, 0, 64, 64))
        keyed = keyed.convert("P" if mode == "P key" else mode)
        key = {"L": 255, "RGB": (255, 255, 255), "P key": keyed.getpixel((50, 50))}[mode]
        return encoded(keyed, "GIF" if mode == "P key" else "PNG", transparency=key)
    if mode == "PA":
        return encoded(image.quantize(), "PNG")
    return encoded(image.convert(mode), "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "L", "RGB", "P key", "16", "RGB 16"])
def test_transparent_pixels_are_seen_on_grey_in_every_mode(mode):
    seen = decode(half_transparent(mode), "test")
    assert (seen[:, :, :16] <= 2).all() and np.abs(seen[:, :, -16:].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "1", "P", "L"])
def test_other_colour_spaces_have_the_colours_that_they_state(mode, face):
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.applyTransform(face, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    else:
        image = face.convert(mode)
    expected = face.convert("L").convert("RGB") if mode in ("1", "L") else face
    seen = read_rgb(encoded(image, "TIFF" if mode != "P" else "PNG"), (64, 64)).image
    # of one bit or a palette, the colours are right on average
    assert np.abs(np.asarray(seen.resize((8, 8))).astype(int) - np.asarray(expected.resize((8, 8)))).mean() < 12
    assert seen.mode == "RGB"


# Refusals


def claiming(kind: str, side: int) -> bytes:
    """Return the beginning of an image that claims side x side pixels."""
    if kind == "JPEG":
        small = encoded(Image.new("RGB", (8, 8)), "JPEG")
        place = small.index(b"\xff\xc0") + 5
        return small[:place] + struct.pack(">HH", side, side) + small[place + 4 :]
    if kind == "PNG":
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    if kind == "BMP":
        small = encoded(Image.new("RGB", (8, 8)), "BMP")
        return small[:18] + struct.pack("<ii", side, side) + small[26:]
    if kind == "GIF":
        small = encoded(Image.new("L", (8, 8)), "GIF")
        return small[:6] + struct.pack("<HH", side, side) + small[10:]
    return b"P6 %d %d 255\n" % (side, side) + b"\0" * 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "PPM"])
def test_an_image_that_claims_60000_pixels_a_side_is_refused_for_that_without_allocating(kind):
    resource = pytest.importorskip("resource")  # not on Windows
    data = claiming(kind, 60_000)
    memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(StudyError, match="photo is an image that claims more than 268 megapixels"):
        decode(data, "photo")
    assert time.perf_counter() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 50_000  # kilobytes; the image has 10 GB


@pytest.mark.slow
@pytest.mark.parametrize("segments", [(), (exif_segment(3),)])
def test_a_photo_of_200_megapixels_is_read(segments):
    image = Image.new("L", (16_320, 12_240), 60)
    image.paste(200, (0, 0, 16_320, 6_000))
    assert image.width * image.height < MOST_PIXELS
    seen = decode(jpeg(image, *segments), "photo")
    top, bottom = seen[:, :20].mean(), seen[:, -20:].mean()
    assert (abs(top - 200) < 2 and abs(bottom - 60) < 2) != bool(segments)


REASONS = {
    b"": "an empty file. Copy it again",
    b"hello": "not an image. Replace or delete it",
    b"<!DOCTYPE html><title>Quota</title>": "not an image",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "a Git LFS pointer and not the image itself",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "a HEIC photo, which Pillow does not read. Convert it to JPEG",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n": "not an image",  # a program: it is not run
    b"\x89HDF\r\n\x1a\n" + bytes(100): "not an image",
    tiff(np.zeros((9, 9)), 3): "a corrupt image, or of a kind that Pillow does not read",  # floats of 64 bits
    b"\x89PNG\r\n\x1a\n" + bytes(50): "a corrupt",
    b"P4 1 100000000 " + bytes(9): "an image that claims a side of more than 65,535 pixels",
}


@pytest.mark.parametrize("data", REASONS, ids=lambda data: str(data[:12]))
def test_what_is_not_read_is_told_for_what_it_is(data):
    with pytest.raises(StudyError, match=f"some/file is {REASONS[data]}"):
        decode(data, "some/file")


@pytest.mark.parametrize("fault", [RuntimeError, KeyError, AssertionError, RecursionError, struct.error, EOFError])
def test_whatever_a_decoder_raises_is_one_message(fault, monkeypatch, face):
    def fail(self):
        raise fault("inner\ndetails")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(Unreadable) as caught:
        read_rgb(encoded(face, "PNG"), (64, 64))
    assert "corrupt or truncated image" in caught.value.what and "\n" not in caught.value.what


def test_the_limits_of_other_libraries_come_back_afterwards(monkeypatch, face):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    data = encoded(face, "PNG")
    read_rgb(data, (64, 64))
    with pytest.raises(Unreadable):
        read_rgb(data[: len(data) // 2], (64, 64))
    assert ImageFile.LOAD_TRUNCATED_IMAGES and Image.MAX_IMAGE_PIXELS == 7


def test_the_endings_of_names_that_are_read():
    assert {".jpg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".jp2", ".tif", ".gif", ".bmp"} <= suffixes()
    assert not {".heic", ".eps", ".ps", ".pdf", ".mpg", ".h5", ".txt", ""} & suffixes()
