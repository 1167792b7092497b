"""Read pictures and videos from files that nobody vouches for, within limits that are checked before decoding."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamis.core.errors import FileError, LimitError, MissingExtraError, one_line
from tamis.core.files import list_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_IMAGE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_VIDEO_FORMATS = "avi,flv,gif,matroska,mov,mpeg,mpegts,ogg"


@dataclass(frozen=True)
class Limits:
    """What a reader accepts; more is refused with LimitError before it is decoded."""

    max_image_bytes: int = 100_000_000
    """Size of a picture's file, in bytes."""
    max_video_bytes: int = 2_000_000_000
    """Size of a video's file, in bytes."""
    max_pixels: int = 50_000_000
    """Width times height of a picture, or of one frame of a video."""
    max_aspect: int = 100
    """How many times longer than the other one side of a picture may be: processors scale the shorter one up."""
    max_frames: int = 20_000
    """Frames in a video."""


DEFAULT = Limits()


def read_image(path: str | Path, limits: Limits = DEFAULT) -> Image:
    """Read a picture as 8-bit RGB, upright as its EXIF orientation says.

    Transparency is laid over white, and 16-bit grey is scaled to 8 bits. Of an animation or a file of several pages the
    first one is read; `image.info["animated"]` then says True. No other metadata is kept.

    Args:
        path: A JPEG, PNG, WebP, GIF, BMP or TIFF file.
        limits: What is accepted.

    Raises:
        FileError: If the file is missing, damaged or no such picture.
        LimitError: If the file or the picture is too large.
        MissingExtraError: If Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading pictures", "vision") from error

    _check_file(path, limits.max_image_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit decides
            with Image.open(path, formats=_IMAGE_FORMATS) as image:
                _check_pixels(path, *image.size, limits)
                animated = bool(getattr(image, "is_animated", False))
                rgb = _to_rgb(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise LimitError(f"{path}: {one_line(error)}; make the picture smaller") from error
    except UnidentifiedImageError as error:
        raise FileError(f"{path}: not a picture; expected {', '.join(_IMAGE_FORMATS)}") from error
    except (FileError, LimitError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise FileError(f"{path}: damaged picture ({one_line(error)}); save it again") from error
    rgb.info = {"animated": animated}
    return rgb


def _to_rgb(image: Image) -> Image:
    """Convert any mode to RGB; 16-bit grey is scaled, where Pillow's own conversion clips it to white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        import numpy as np

        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a pixel have no agreed white: use 8 or 16")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def read_video_frames(path: str | Path, n: int, limits: Limits = DEFAULT) -> list[NDArray[np.uint8]]:
    """Read n frames spread evenly over a video, the first and the last among them (the first alone if n is 1).

    The video is decoded from its start, one frame in memory at a time. Nothing but the file itself is opened.

    Args:
        path: An AVI, FLV, GIF, Matroska, WebM, MP4, MOV, MPEG or Ogg file.
        n: How many frames, at least 1.
        limits: What is accepted.

    Returns:
        n arrays of shape (height, width, 3), RGB, upright.

    Raises:
        FileError: If the file is missing, damaged, no video, or has fewer than n frames.
        LimitError: If the file, its frames or their number are too large.
        MissingExtraError: If PyAV is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading videos", "vision") from error

    _check_file(path, limits.max_video_bytes)
    try:
        count = _count_packets(path, limits)
        while True:
            if count < n or n < 1:
                raise FileError(f"{path}: has {count} frames, asked for {n}; ask for 1 to {count}")
            wanted = [round(i * (count - 1) / max(1, n - 1)) for i in range(n)]
            frames, decoded = _decode(path, wanted, limits)
            if len(frames) == n:
                return frames
            count = decoded  # some containers have more packets than frames
    except av.FFmpegError as error:
        raise FileError(f"{path}: not a video, or damaged ({one_line(error)}); expected {_VIDEO_FORMATS}") from error


def _open_video(path: str | Path, limits: Limits) -> Any:
    """Open a container of an allowed format that can open nothing else, and check its first video stream."""
    import av

    options = {"format_whitelist": _VIDEO_FORMATS, "protocol_whitelist": "file"}
    container = av.open(f"file:{os.fspath(path)}", options=options)
    if not container.streams.video:
        container.close()
        raise FileError(f"{path}: has no video stream; give a video")
    codec = container.streams.video[0].codec_context
    try:
        _check_pixels(path, codec.width, codec.height, limits)
    except LimitError:
        container.close()
        raise
    return container


def _count_packets(path: str | Path, limits: Limits) -> int:
    with _open_video(path, limits) as container:
        count = 0
        for packet in container.demux(video=0):
            count += packet.size > 0
            if count > limits.max_frames:
                raise LimitError(f"{path}: more than {limits.max_frames} frames, which is the limit; cut the video")
        return count


def _decode(path: str | Path, wanted: list[int], limits: Limits) -> tuple[list[NDArray[np.uint8]], int]:
    """Decode up to the last wanted frame; return those wanted, and how many were decoded."""
    import numpy as np

    frames: list[NDArray[np.uint8]] = []
    decoded = 0
    with _open_video(path, limits) as container:
        for frame in container.decode(video=0):
            _check_pixels(path, frame.width, frame.height, limits)
            if decoded in wanted:
                upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
                frames += [np.ascontiguousarray(upright)]
            decoded += 1
            if decoded > wanted[-1]:
                break
    return frames, decoded


def list_images(folder: str | Path) -> list[Path]:
    """List the pictures in a folder and below; see `list_files`.

    Args:
        folder: Where to look; files are told by their suffix.

    Raises:
        FileError: If it is no folder, or holds no picture.
    """
    return list_files(folder, IMAGE_SUFFIXES, "picture")


def _check_file(path: str | Path, max_bytes: int) -> None:
    file = Path(path)
    if file.is_dir():
        raise FileError(f"{path}: a folder; give a file in it")
    if not file.is_file():
        raise FileError(f"{path}: no such file; check the path")
    size = file.stat().st_size
    if size == 0:
        raise FileError(f"{path}: empty; expected a picture or a video")
    if size > max_bytes:
        raise LimitError(f"{path}: {size} bytes, the limit is {max_bytes}; make it smaller")


def _check_pixels(path: str | Path, width: int, height: int, limits: Limits) -> None:
    if max(width, height) > limits.max_aspect * min(width, height):
        raise LimitError(f"{path}: {width} × {height} pixels; the limit is {limits.max_aspect} to 1; cut the picture")
    if width * height > limits.max_pixels:
        raise LimitError(f"{path}: {width} × {height} pixels; the limit is {limits.max_pixels} in all; make it smaller")
