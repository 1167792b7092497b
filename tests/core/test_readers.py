import io
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tamis.core.errors import FileError, LimitError, MissingExtraError
from tamis.core.readers import IMAGE_SUFFIXES, Limits, list_images, read_image, read_video_frames

RED, WHITE = (255, 0, 0), (255, 255, 255)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_listed_format_is_read_as_rgb(suffix: str, tmp_path: Path) -> None:
    options = {"lossless": True} if suffix == ".webp" else {}
    image = read_image(saved(tmp_path / f"a{suffix}", Image.new("RGB", (5, 3), RED), **options))
    assert (image.mode, image.size) == ("RGB", (5, 3))
    assert np.abs(np.asarray(image).astype(int) - RED).max() <= 2  # JPEG is not exact


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path / "a.png", Image.new("L", (1, 1), 7))).getpixel((0, 0)) == (7, 7, 7)


def test_sixteen_bit_grey_is_scaled_and_not_clipped_to_white(tmp_path: Path) -> None:
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        pixels = np.asarray(read_image(saved(tmp_path / name, Image.fromarray(grey))))
        assert pixels[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("mode", ["F", "I"])
def test_thirty_two_bits_are_refused_as_their_white_is_unknown(mode: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"a\.tif: .*no agreed white"):
        read_image(saved(tmp_path / "a.tif", Image.new(mode, (2, 2))))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
    assert read_image(saved(tmp_path / "a.png", half)).getpixel((0, 0)) == WHITE
    grey = Image.new("LA", (1, 1), (0, 0))
    assert read_image(saved(tmp_path / "b.png", grey)).getpixel((0, 0)) == WHITE
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    image = read_image(saved(tmp_path / "c.png", palette, transparency=1))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [RED, WHITE]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.tif", Image.new("CMYK", (2, 2), (0, 255, 255, 0))))
    assert image.getpixel((0, 0)) == RED


def test_a_picture_stands_upright_as_its_exif_orientation_says(tmp_path: Path) -> None:
    stored = Image.new("RGB", (2, 1), WHITE)
    stored.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to view
    image = read_image(saved(tmp_path / "a.png", stored, exif=exif))
    assert image.size == (1, 2)
    assert [image.getpixel((0, 0)), image.getpixel((0, 1))] == [RED, WHITE]


def test_of_an_animation_the_first_frame_is_read_and_said_to_be_one_of_several(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    image = read_image(saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert (image.getpixel((0, 0)), image.info) == (RED, {"animated": True})
    assert read_image(saved(tmp_path / "b.gif", frames[0])).info == {"animated": False}


def png(width: int, height: int) -> bytes:
    """A PNG whose header promises much and whose content is a single pixel."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "png")
    content = buffer.getvalue()
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


@pytest.mark.parametrize(("side", "limit"), [(7_100, 50_000_000), (10_000, 50_000_000), (40_000, 178_956_970)])
def test_a_picture_bomb_is_refused_by_its_header(side: int, limit: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side))
    with pytest.raises(LimitError, match=rf"bomb\.png: .*pixels.*limit (is|of) {limit}"):
        read_image(path)


def test_a_larger_limit_lets_a_larger_picture_through_to_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(10_000, 9_500))
    with pytest.raises(FileError, match="damaged"):  # where the pixels that the header promised turn out to be missing
        read_image(path, Limits(max_pixels=100_000_000))


def test_limits_hold_at_their_edge(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGB", (10, 10)))
    size = path.stat().st_size
    read_image(path, Limits(max_pixels=100, max_image_bytes=size))
    with pytest.raises(LimitError, match="10 × 10 pixels; the limit is 99"):
        read_image(path, Limits(max_pixels=99))
    with pytest.raises(LimitError, match=f"{size} bytes, the limit is {size - 1}"):
        read_image(path, Limits(max_image_bytes=size - 1))


def test_what_is_no_picture_is_refused_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(tmp_path / "whole.jpg", Image.fromarray(noise)).read_bytes()
    for name, content in {
        "empty.png": b"",
        "text.png": b"not a picture at all",
        "cut.jpg": whole[: len(whole) // 2],
        "head.png": png(8, 8),
        "page.ps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FileError, match=name) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)
    for path, reason in (
        (tmp_path, "a folder"),
        (tmp_path / "none.png", "no such file"),
        (Path(os.devnull), "no such"),
    ):
        with pytest.raises(FileError, match=reason):
            read_image(path)


def video(path: Path, count: int, *, size: int = 32, codec: str = "mpeg4", rate: int = 10) -> Path:
    """A video whose frame i has the grey level 2 i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((size, size, 3), 2 * i, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
@pytest.mark.parametrize(("n", "expected"), [(1, [0]), (2, [0, 100]), (3, [0, 50, 100]), (5, [0, 25, 50, 75, 100])])
def test_video_frames_are_spread_evenly_from_first_to_last(
    suffix: str, n: int, expected: list[int], tmp_path: Path
) -> None:
    frames = read_video_frames(video(tmp_path / f"a{suffix}", 101), n)
    assert {(frame.shape, str(frame.dtype)) for frame in frames} == {((32, 32, 3), "uint8")}
    assert [round(frame.mean() / 2) for frame in frames] == pytest.approx(expected, abs=1.5)


def test_all_frames_of_a_video_can_be_had(tmp_path: Path) -> None:
    frames = read_video_frames(video(tmp_path / "a.mkv", 12, codec="ffv1"), 12)
    assert [frame.mean() / 2 for frame in frames] == pytest.approx(range(12), abs=0.6)


def test_frames_are_spread_over_those_that_decode_where_the_container_holds_more_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.core.readers._count_packets", lambda path, limits: 20)
    path = video(tmp_path / "a.mkv", 12, codec="ffv1")
    assert [frame.mean() / 2 for frame in read_video_frames(path, 2)] == pytest.approx([0, 11], abs=0.6)
    with pytest.raises(FileError, match="has 12 frames, asked for 13"):
        read_video_frames(path, 13)


@pytest.mark.parametrize("n", [0, 5, -1])
def test_a_number_of_frames_that_a_video_does_not_have_is_refused(n: int, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"has 4 frames, asked for {n}; ask for 1 to 4"):
        read_video_frames(video(tmp_path / "a.mp4", 4), n)


def test_video_limits_are_checked(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 8)
    for limits, message in (
        (Limits(max_frames=7), "more than 7 frames"),
        (Limits(max_pixels=1023), "32 × 32 pixels"),
        (Limits(max_video_bytes=100), "the limit is 100"),
    ):
        with pytest.raises(LimitError, match=message):
            read_video_frames(path, 2, limits)
    assert len(read_video_frames(path, 2, Limits(max_frames=8, max_pixels=1024))) == 2


def test_what_is_no_video_is_refused_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    whole = video(tmp_path / "whole.mp4", 30).read_bytes()
    for name, content in {
        "empty.mp4": b"",
        "text.mp4": b"not a video" * 99,
        "cut.mp4": whole[: len(whole) // 2],
        "list.m3u8": f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'whole.mp4'}\n#EXT-X-ENDLIST\n".encode(),
        "list.mp4": f"ffconcat version 1.0\nfile '{tmp_path / 'whole.mp4'}'\n".encode(),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FileError, match=name) as caught:
            read_video_frames(path, 1)
        assert "\n" not in str(caught.value)


def test_sound_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), layout="mono")
        frame.sample_rate = 8000
        assert isinstance(stream, av.AudioStream)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(FileError, match=r"a\.mkv: has no video stream"):
        read_video_frames(path, 1)


def test_a_missing_package_is_answered_with_the_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "av", None)
    for read in (lambda: read_image(tmp_path / "a.png"), lambda: read_video_frames(tmp_path / "a.mp4", 1)):
        with pytest.raises(MissingExtraError, match=r"pip install 'tamis\[vision\]'"):
            read()


def test_pictures_are_listed_in_order_and_links_out_of_the_folder_are_left_out(tmp_path: Path) -> None:
    outside = saved(tmp_path / "outside.png", Image.new("L", (1, 1)))
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.JPG", "a.png", "sub/c.webp", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "out.png").symlink_to(outside)
    (folder / "near.png").symlink_to(folder / "a.png")
    (folder / "up").symlink_to(tmp_path)
    names = [str(path.relative_to(folder)) for path in list_images(folder)]
    assert names == ["a.png", "b.JPG", "near.png", "sub/c.webp"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds no picture"):
        list_images(tmp_path)
    with pytest.raises(FileError, match="not a folder"):
        list_images(tmp_path / "none")


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (101, 1)])
def test_a_picture_far_longer_than_wide_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    file = tmp_path / "thin.png"
    Image.new("L", size).save(file)
    with pytest.raises(LimitError, match="100 to 1"):
        read_image(file)
