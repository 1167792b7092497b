"""Data sets on their own layouts, made small, with and without their audio."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tamis.audio.data import Collection, Item, load, shared
from tamis.audio.latents import Described, of_collection
from tamis.audio.sound import Member, probe, read
from tamis.core.errors import ConfigError, FileError, LimitError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "audio"


def put(path: Path, text: str = "x", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def pack(path: Path, *entries: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry[0])
            content = b"" if isinstance(entry, tarfile.TarInfo) else entry[1]
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


CLOTHO = """file_name,caption_1,caption_2,caption_3,caption_4,caption_5
"Rain, heavy: roof.wav",rain falls,it rains,"drops, many",water,a storm
dog's bark.wav,a dog,a dog barks,barking,a hound,woof
"""
CLOTHO_META = """file_name,keywords,sound_id,sound_link,start_end_samples,manufacturer,license
"Rain, heavy: roof.wav",rain;caf\xe9,123,x,"[0, 1]",someone,y
"""


@pytest.mark.parametrize("nested", [False, True])
def test_clotho(tmp_path: Path, nested: bool) -> None:
    tables = tmp_path / "CLOTHO_v2.1" / "clotho_csv_files" if nested else tmp_path
    audio = tmp_path / "CLOTHO_v2.1" / "clotho_audio_files" / "evaluation" if nested else tmp_path / "evaluation"
    put(tables / "clotho_captions_evaluation.csv", CLOTHO)
    put(tables / "clotho_metadata_evaluation.csv", CLOTHO_META, "latin-1")
    put(audio / "Rain, heavy_ roof.wav")
    got = load("clotho", tmp_path, "test")
    assert got.name == "clotho-evaluation"
    first, second = got.items
    assert first.path == audio / "Rain, heavy_ roof.wav"
    assert first.captions == ("rain falls", "it rains", "drops, many", "water", "a storm")
    assert (first.sources, second.sources) == (("123",), ("dog's bark.wav",))
    assert got.missing == ("dog's bark.wav",)
    assert got.report() == "clotho-evaluation: 1 of 2 clips, 5 captions; without audio 1 (dog's bark.wav)"


@pytest.mark.parametrize("name", ["audio_32000Hz/val/-abc_30.flac", "val/Y-abc.wav", "-abc.wav"])
def test_audiocaps_joins_captions_and_finds_audio_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    put(
        tmp_path / "val.csv",
        "audiocap_id,youtube_id,start_time,caption\n1,-abc,30,a man speaks\n2,-abc,30,speech\n3,zz,0,rain\n",
    )
    put(tmp_path / name)
    got = load("audiocaps", tmp_path, "val")
    assert [item.captions for item in got.items] == [("a man speaks", "speech"), ("rain",)]
    assert got.here[0].path == tmp_path / name
    assert got.missing == ("zz_0",)


def test_wavcaps(tmp_path: Path) -> None:
    entries = [{"id": "Yab.wav", "caption": "wind", "duration": 10.0}, {"id": "Ycd.wav", "caption": "sea"}]
    table = {"num_captions_per_audio": 1, "data": entries}
    put(tmp_path / "json_files/AudioSet_SL/as_final.json", json.dumps(table))
    put(tmp_path / "Audio/AudioSet_SL/Yab.flac")
    got = load("wavcaps", tmp_path, "AudioSet_SL")
    assert [(item.id, item.captions) for item in got.here] == [("AudioSet_SL/Yab", ("wind",))]
    assert got.here[0].sources == ("ab",)  # as AudioCaps calls the video
    assert got.missing == ("AudioSet_SL/Ycd",)
    with pytest.raises(FileError, match="holds none of json_files/BBC"):
        load("wavcaps", tmp_path)
    put(tmp_path / "json_files/AudioSet_SL/as_final.json", '{"data": [{"id": 1}]}')
    with pytest.raises(FileError, match="entry 0 of 'data' lacks id or caption"):
        load("wavcaps", tmp_path, "AudioSet_SL")


def test_macs(tmp_path: Path) -> None:
    put(
        tmp_path / "MACS.yaml",
        "files:\n- filename: airport-barcelona-0-0-a.wav\n  annotations:\n"
        "  - annotator_id: 1\n    sentence: people talk\n"
        "    tags: [adults]\n  - annotator_id: 2\n    sentence: steps\n",
    )
    put(tmp_path / "audio/airport-barcelona-0-0-a.wav")
    (item,) = load("macs", tmp_path).here
    assert (item.captions, item.labels) == (("people talk", "steps"), ("airport",))
    assert item.sources == ("airport-barcelona-0",)
    put(tmp_path / "MACS.yaml", "files:\n- name: x\n")
    with pytest.raises(FileError, match="not MACS' table"):
        load("macs", tmp_path)


def test_a_yaml_table_makes_no_objects(tmp_path: Path) -> None:
    put(tmp_path / "MACS.yaml", "files: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(FileError, match="not MACS' table"):
        load("macs", tmp_path)
    assert not Path("pwned").exists()


def test_esc50_and_its_folds(tmp_path: Path) -> None:
    put(
        tmp_path / "meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,1,0,crying_baby,True,100,A\n"
        "2-200-B-1.wav,2,1,dog,True,200,B\n",
    )
    put(tmp_path / "audio/1-100-A-0.wav")
    put(tmp_path / "audio/2-200-B-1.ogg")
    whole, second = load("esc50", tmp_path), load("esc50", tmp_path, "2")
    assert [(item.labels, item.sources, item.fold) for item in whole.here] == [
        (("crying baby",), ("100",), 1),
        (("dog",), ("200",), 2),
    ]
    assert [item.id for item in second.items] == ["2-200-B-1.wav"]
    with pytest.raises(ConfigError, match="'3'; esc50 has the folds 1, 2"):
        load("esc50", tmp_path, "3")


def test_esc10_with_titles(tmp_path: Path) -> None:
    put(tmp_path / "001 - Dog bark/1-100032-A.ogg")
    put(tmp_path / "002 - Rain/4-5-B.ogg")
    put(
        tmp_path / "titles.csv",
        "folder,file,fold,title,url,licence\n001 - Dog bark,1-100032-A.ogg,1,rose_bark.wav,u,CC0\n",
    )
    dog, rain = load("esc10", tmp_path).here
    assert (dog.captions, dog.labels, dog.sources, dog.fold) == (("rose_bark.wav",), ("dog bark",), ("100032",), 1)
    assert (rain.captions, rain.labels, rain.sources, rain.fold) == ((), ("rain",), ("5",), 4)
    assert rain.id == "002 - Rain/4-5-B.ogg"
    put(tmp_path / "003 - Sea/a-b-c.ogg")
    with pytest.raises(FileError, match="expected a name such as"):
        load("esc10", tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data/audio is not here")
def test_the_real_esc10_never_has_one_source_in_two_folds() -> None:
    got = load("esc10", SHARED)
    assert len(got.here) == len(got.items) == 318
    assert all(item.captions for item in got.items)
    folds: dict[str, set[int | None]] = {}
    for item in got.items:
        folds.setdefault(item.sources[0], set()).add(item.fold)
    assert len(folds) == 245
    assert all(len(one) == 1 for one in folds.values())


def test_fsd50k(tmp_path: Path) -> None:
    put(
        tmp_path / "FSD50K.ground_truth/dev.csv",
        'fname,labels,mids,split\n64,"Rain,Water","/m/1,/m/2",train\n7,Dog,/m/3,val\n',
    )
    put(
        tmp_path / "FSD50K.metadata/dev_clips_info_FSD50K.json",
        json.dumps({"64": {"title": "rain on tin", "uploader": "u"}}),
    )
    put(tmp_path / "FSD50K.dev_audio/64.wav")
    (item,) = load("fsd50k", tmp_path, "train").items
    assert (item.captions, item.labels, item.sources) == (("rain on tin",), ("Rain", "Water"), ("u",))
    assert [one.id for one in load("fsd50k", tmp_path, "dev").items] == ["64", "7"]


@pytest.mark.parametrize(
    ("table", "content"),
    [
        ("metadata.csv", 'file_name,text\na.wav,"a bell"\nsub/b.wav,"a\ngong"\n'),
        (
            "metadata.jsonl",
            '{"file_name": "a.wav", "caption": "a bell"}\n\n{"file_name": "sub/b.wav", "text": "a\\ngong"}\n',
        ),
    ],
)
def test_an_audiofolder(tmp_path: Path, table: str, content: str) -> None:
    put(tmp_path / "train" / table, content)
    put(tmp_path / "train/a.wav")
    put(tmp_path / "train/sub/b.wav")
    assert [item.captions for item in load("folder", tmp_path, "train").here] == [("a bell",), ("a\ngong",)]


def test_a_list_of_json_lines(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    listed = put(
        tmp_path / "list.jsonl",
        '{"audio": "a.wav", "captions": ["x", "y"], "source": "s"}\n'
        '{"path": "b.wav", "caption_1": "z", "caption_2": ""}\n',
    )
    got = load("jsonl", listed)
    assert [(item.captions, item.sources) for item in got.items] == [(("x", "y"), ("s",)), (("z",), ("b.wav",))]
    assert got.missing == ("b.wav",)


@pytest.mark.parametrize("name", ["../secret.wav", "ABSOLUTE", "link.wav"])
def test_a_table_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    secret = put(tmp_path / "secret.wav")
    table = put(tmp_path / "root/metadata.csv", f"file_name,text\n{name.replace('ABSOLUTE', str(secret))},a\n")
    (table.parent / "link.wav").symlink_to(secret)
    with pytest.raises(FileError, match=r"lies outside of .*root; put the list above the sounds"):
        load("folder", table.parent)
    put(table, f"file_name,text\n{'x' * 5000}.wav,d\n")
    assert len(load("folder", table.parent).missing) == 1


def test_a_file_is_one_clip_however_it_is_spelt(tmp_path: Path) -> None:
    put(tmp_path / "sub/a.wav")
    rows = "sub/a.wav,a bell\n./sub/../sub/a.wav,a gong\n"
    for name, got in (
        ("csv", load("csv", put(tmp_path / "pairs.csv", f"audio,caption\n{rows}"))),
        ("folder", load("folder", put(tmp_path / "metadata.csv", f"file_name,caption\n{rows}").parent)),
    ):
        assert [(item.id, item.captions) for item in got.items] == [("sub/a.wav", ("a bell", "a gong"))], name
    other = load("csv", put(tmp_path / "other.csv", f"audio,caption\n{tmp_path}/sub/a.wav,a chime\n"))
    assert shared(got, other) == (f"{tmp_path}/sub/a.wav",)
    assert shared(got, Collection("none", (Item("b", None, ("x",)),))) == ()


def test_lines_end_where_they_end(tmp_path: Path) -> None:
    told = {"audio": "a.wav", "captions": ["a\u2028b", {"x": 1}, "c\u0085d"]}
    table = put(tmp_path / "pairs.jsonl", json.dumps(told, ensure_ascii=False) + "\r\n")
    assert [item.captions for item in load("jsonl", table).items] == [("a\u2028b", "c\u0085d")]


@pytest.mark.parametrize("row", ["a.wav,x,dog,1", "a.wav,1²,dog,1", ".,1,dog,1", ",1,dog,1"])
def test_rows_of_esc50_that_are_none_are_refused(tmp_path: Path, row: str) -> None:
    put(tmp_path / "meta/esc50.csv", f"filename,fold,category,src_file\n{row}\n")
    with pytest.raises(FileError, match="expected a file name and a whole number"):
        load("esc50", tmp_path)


def test_blank_captions_say_nothing(tmp_path: Path) -> None:
    table = put(tmp_path / "pairs.csv", "audio,caption_1,caption_2\na.wav,  , a bell \nb.wav,,\t\n")
    assert [item.captions for item in load("csv", table).items] == [("a bell",), ()]


def test_a_mixture_names_all_its_recordings(tmp_path: Path) -> None:
    put(tmp_path / "metadata.jsonl", json.dumps({"file_name": "a.wav", "captions": ["x"], "sources": ["one", "two"]}))
    assert [item.sources for item in load("folder", tmp_path).items] == [("one", "two")]
    assert Item("a.wav", None, ()).sources == ("a.wav",)


def test_rows_of_one_file_are_one_clip(tmp_path: Path) -> None:
    put(tmp_path / "sub/a.wav")
    table = put(
        tmp_path / "pairs.csv",
        'path,caption,caption_2,source\nsub/a.wav,a bell,"a gong, near",s\nb.wav,rain,,\nsub/a.wav,ringing,,t\n',
    )
    got = load("csv", table)
    assert [(item.id, item.captions, item.sources) for item in got.items] == [
        ("sub/a.wav", ("a bell", "a gong, near", "ringing"), ("s", "t")),
        ("b.wav", ("rain",), ("b.wav",)),
    ]
    assert got.here[0].path == tmp_path / "sub/a.wav"
    assert got.report() == "pairs: 1 of 2 clips, 3 captions; without audio 1 (b.wav)"
    lines = put(tmp_path / "pairs.jsonl", '{"audio": "sub/a.wav", "text": "x"}\n{"audio": "sub/a.wav", "text": "y"}\n')
    assert [item.captions for item in load("jsonl", lines).items] == [("x", "y")]


@pytest.mark.parametrize("caption", ["NaN", "Infinity", "true", "5"])
def test_a_caption_that_is_no_text_is_refused(tmp_path: Path, caption: str) -> None:
    put(tmp_path / "a.wav")
    lines = put(tmp_path / "pairs.jsonl", f'{{"audio": "a.wav", "caption": {caption}}}\n')
    with pytest.raises(FileError, match=r"pairs\.jsonl:1: a caption is \w+; expected a text"):
        load("jsonl", lines)


def test_names_of_files_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    lines = put(tmp_path / "pairs.jsonl", json.dumps({"audio": "a\x1b[2J\n.wav", "caption": "x"}) + "\n")
    assert load("jsonl", lines).report().isprintable()


@pytest.mark.parametrize("split", ["..", "../other", "/"])
@pytest.mark.parametrize("name", ["folder", "webdataset"])
def test_a_split_does_not_lead_out_of_the_root(tmp_path: Path, name: str, split: str) -> None:
    put(tmp_path / "set/metadata.csv", "file_name,caption\n")
    with pytest.raises(ConfigError, match="expected a folder in"):
        load(name, tmp_path / "set", split)


def test_a_field_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    table = put(tmp_path / "pairs.csv", f"audio,caption\na.wav,{'x' * 140_000}\n")
    with pytest.raises(FileError, match=r"pairs\.csv:2: a field has more than 131072 characters"):
        load("csv", table)


def test_a_table_may_label_its_clips(tmp_path: Path) -> None:
    put(tmp_path / "a.wav")
    got = load("csv", put(tmp_path / "clips.csv", "path,label,source\na.wav,bell,x\nb.wav,,y\na.wav,gong,x\n"))
    assert [(item.id, item.captions, item.labels) for item in got.items] == [
        ("a.wav", (), ("bell", "gong")),
        ("b.wav", (), ()),
    ]
    lines = put(tmp_path / "clips.jsonl", '{"path": "a.wav", "labels": ["bell", "gong"]}\n')
    assert load("jsonl", lines).items[0].labels == ("bell", "gong")


@pytest.mark.parametrize("column", ["audio", "path", "file_name"])
def test_a_table_of_pairs_names_its_files_in_one_of_three_ways(tmp_path: Path, column: str) -> None:
    put(tmp_path / "a.wav")
    assert load("csv", put(tmp_path / "pairs.csv", f"{column},text\na.wav,x\n")).here[0].captions == ("x",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sound,caption\na.wav,x\n", r"pairs\.csv: row 1: has none of audio, path, file_name"),
        ("audio,caption\na.wav,x\n,y\n", r"pairs\.csv: row 2: has none of audio"),
        (
            "audio,description\na.wav,x\n",
            r"pairs\.csv:1: the header has none of caption, .* and label",
        ),
        ("audio,caption\na.wav\n", r"pairs\.csv:2: has not 2 fields"),
    ],
)
def test_a_table_of_pairs_that_lacks_something_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(FileError, match=said):
        load("csv", put(tmp_path / "pairs.csv", content))
    with pytest.raises(ConfigError, match="csv has no splits"):
        load("csv", tmp_path / "pairs.csv", "train")
    with pytest.raises(FileError, match="no such file; give where csv lies"):
        load("csv", tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["../secret.wav", "ABSOLUTE", "link.wav", "folder/x.wav", "../none.wav"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_list_cannot_lead_out_of_its_folder(tmp_path: Path, name: str, kind: str) -> None:
    put(tmp_path / "secret.wav")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (root / "folder").symlink_to(tmp_path)
    file = name.replace("ABSOLUTE", f"{tmp_path}/secret.wav")
    content = f"audio,text\n{file},a\n" if kind == "csv" else json.dumps({"audio": file, "text": "a"})
    with pytest.raises(FileError, match=r"lies outside of .*root; put the list above the sounds"):
        load(kind, put(root / f"list.{kind}", content))


def test_every_reader_leaves_out_what_leads_out(tmp_path: Path) -> None:
    put(tmp_path / "64.wav")
    root = tmp_path / "root"
    put(root / "FSD50K.ground_truth/eval.csv", "fname,labels\n64,Rain\n../../64,Rain\n")
    put(root / "meta/esc50.csv", "filename,fold,category,src_file\n../../64.wav,1,dog,1\n")
    put(root / "MACS.yaml", "files:\n- filename: ../64.wav\n  annotations: []\n")
    put(root / "FreeSound/fsd_final.json", json.dumps({"data": [{"id": "../../64", "caption": "x"}]}))
    put(root / "test.csv", "youtube_id,start_time,caption\n../64,0,x\n../../64,0,x\n")
    put(root / "evaluation/x.wav")
    put(root / "clotho_captions_evaluation.csv", CLOTHO.replace("dog's bark.wav", "../../64.wav"))
    (root / "FSD50K.eval_audio").mkdir()
    (root / "FSD50K.eval_audio/64.wav").symlink_to(tmp_path / "64.wav")
    for name in ("fsd50k", "esc50", "macs", "audiocaps", "clotho"):
        assert load(name, root).here == ()
    assert load("wavcaps", root, "FreeSound").here == ()


def wave_bytes(form: str, seconds: float = 0.5, rate: int = 16_000) -> bytes:
    memory = io.BytesIO()
    tone = np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate).astype(np.float32) / 2
    subtype = {"ogg": "VORBIS", "opus": "OPUS"}.get(form)
    soundfile.write(memory, tone, rate, format={"opus": "OGG"}.get(form, form).upper(), subtype=subtype)
    return memory.getvalue()


def test_a_webdataset_is_read_where_it_lies(tmp_path: Path) -> None:
    forms = ("flac", "wav", "ogg", "mp3", "opus")
    entries = [(f"x/{number}.{form}", wave_bytes(form)) for number, form in enumerate(forms)]
    told = [
        ("x/0.json", b'{"caption": "zero", "duration": 1}'),
        ("x/1.json", b'{"text": ["one", "uno"], "source": "everything"}'),
        ("x/2.txt", "\ufeffdeux\n".encode()),
        ("x/3.JSON", b'{"captions": ["three"], "caption_2": "tres"}'),
        ("x/4.json", b'{"title": "no caption"}'),
        ("x/4.txt", b"four"),
        ("y.json", b'{"caption": "no sound"}'),
        ("z.cls", b"5"),
        ("__key__", b"z"),
        ("._x.json", b"not JSON"),
    ]
    pack(tmp_path / "set/train/00.tar", *entries, *told)
    pack(tmp_path / "set/train/deep/01.tar", ("x/0.mp3", wave_bytes("mp3")), ("x/0.wav", wave_bytes("wav")))
    pack(tmp_path / "set/test/00.tar", ("only.flac", wave_bytes("flac")))
    got = load("webdataset", tmp_path / "set", "train")
    assert got.name == "set-train"
    assert [(item.id, item.captions) for item in got.here] == [
        ("00/x/0", ("zero",)),
        ("00/x/1", ("one", "uno")),
        ("00/x/2", ("deux",)),
        ("00/x/3", ("three", "tres")),
        ("00/x/4", ("four",)),
        ("deep/01/x/0", ()),
    ]
    assert got.missing == ("00/y",)
    assert len({item.sources for item in got.items}) == 7
    for item in got.here:
        assert isinstance(item.path, Member)
        sound = read(item.path)
        assert probe(item.path).rate == sound.rate == 16_000
        assert abs(sound.seconds - 0.5) < 0.1
        power = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples))))
        assert abs(power.argmax() / sound.seconds - 440) < 5
    assert str(got.here[-1].path) == f"{tmp_path}/set/train/deep/01.tar:x/0.wav"
    assert len(load("webdataset", tmp_path / "set").items) == 8
    one = load("webdataset", tmp_path / "set/test/00.tar")
    assert [(item.id, item.captions) for item in one.items] == [("00/only", ())]
    assert [type(said) for said in of_collection(one)] == [Described]
    assert [item.path.stat() for item in one.here if item.path] == [(tmp_path / "set/test/00.tar").stat()]


def test_what_a_webdataset_says_is_checked(tmp_path: Path) -> None:
    def made(*entries: tuple[str, bytes]) -> Collection:
        return load("webdataset", pack(tmp_path / "a.tar", *entries))

    with pytest.raises(FileError, match=r"a\.tar:x\.json: not JSON"):
        made(("x.json", b"{"))
    with pytest.raises(FileError, match=r"a\.tar:x\.json: not JSON"):
        made(("x.json", b"[" * 100_000))
    with pytest.raises(FileError, match=r"a\.tar:x\.json: expected a JSON object; got \[1, 2\]"):
        made(("x.json", b"[1,\n2]"))
    with pytest.raises(FileError, match=r"a\.tar:x\.txt: not UTF-8 at byte 3"):
        made(("x.txt", b"caf\xe9"))
    with pytest.raises(FileError, match=r"a\.tar: holds x\.txt twice"):
        made(("x.txt", b"a"), ("x.txt", b"b"))
    with pytest.raises(LimitError, match=r"a\.tar:x\.txt: 1000001 bytes; the limit of a text is 1000000"):
        made(("x.txt", b"a" * 1_000_001))
    with pytest.raises(FileError, match=r"x\.flac is a link"):
        made(("x.txt", b"a"), ("x.flac", b""), link("x.flac"))
    (bad,) = of_collection(made(("x.flac", b"no sound"), ("x.txt", b"a")))
    assert isinstance(bad, FileError)
    assert f"{tmp_path}/a.tar:x.flac: not a sound, or damaged" in str(bad)
    (empty,) = of_collection(made(("x.flac", b"")))
    assert "x.flac: empty" in str(empty)
    with pytest.raises(FileError, match=r"holds no \.tar file"):
        load("webdataset", tmp_path, "none")
    outside = tmp_path / "inner"
    outside.mkdir()
    (outside / "a.tar").symlink_to(tmp_path / "a.tar")
    with pytest.raises(FileError, match=r"holds no \.tar file"):
        load("webdataset", outside)


def test_what_is_there_has_a_hash_that_its_order_and_captions_change(tmp_path: Path) -> None:
    def collection(content: str) -> Collection:
        return load("jsonl", put(tmp_path / "list.jsonl", content))

    put(tmp_path / "a.wav")
    put(tmp_path / "b.wav")
    one = '{"audio": "a.wav", "text": "x"}\n'
    assert collection(one).dataset == collection(one + '{"audio": "c.wav", "text": "x"}\n').dataset
    assert collection(one).dataset != collection(one.replace("x", "y")).dataset
    assert collection(one).dataset.startswith("list@sha256:")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: load("clothos", root), "'clothos' is no data set; did you mean 'clotho'"),
        (lambda root: load("clotho", root, "dev"), "split is 'dev'; clotho has development, validation, evaluation"),
        (lambda root: load("macs", root, "test"), "macs has no splits"),
    ],
)
def test_a_data_set_or_split_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,text\na,b\n", r"metadata\.csv:1: the header lacks file_name"),
        ("file_name,text\na\n", r"metadata\.csv:2: has not 2 fields"),
        ("file_name,text\na,b,c\n", r"metadata\.csv:2: has not 2 fields"),
        ('file_name,text\n"a,b\n', r"metadata\.csv:\d: not CSV"),
        ("", "the header lacks file_name"),
        ("file_name,text,text\na,b,c\n", r"metadata\.csv:1: two columns are named 'text'"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    put(tmp_path / "metadata.csv", content)
    with pytest.raises(FileError, match=said):
        load("folder", tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    with pytest.raises(FileError, match="no file; give a table"):
        load("csv", tmp_path / "pairs.csv")


def test_a_table_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "metadata.csv", "file_name,text\na,caf\xe9\n", "latin-1")
    with pytest.raises(FileError, match=r"not UTF-8 at byte 20"):
        load("folder", tmp_path)
    with pytest.raises(FileError, match="no such folder"):
        load("folder", tmp_path / "none")
    with pytest.raises(FileError, match=r"list\.jsonl:2: expected a JSON object"):
        load("jsonl", put(tmp_path / "list.jsonl", '{"audio": "a"}\n[1]\n'))


@pytest.mark.parametrize(
    "content",
    [
        "files: " + "[" * 200_000 + "]" * 200_000,
        "a: &a [lol, lol]\nfiles: [{filename: *a, annotations: []}]",
        "files: [{filename: [x], annotations: []}]",
        "files: [{filename: a-b-c.wav, annotations: [{sentence: {x: y}}]}]",
        'files: !!int ""',
        "files: 1:1:1.5",
        "- a",
        "",
    ],
)
def test_a_yaml_table_of_anything_else_is_one_line(tmp_path: Path, content: str) -> None:
    put(tmp_path / "MACS.yaml", content)
    with pytest.raises(FileError, match="not MACS' table"):
        load("macs", tmp_path)


def test_a_fold_of_many_digits_is_none(tmp_path: Path) -> None:
    put(tmp_path / "meta/esc50.csv", f"filename,fold,category,src_file\na.wav,{'1' * 5000},dog,1\n")
    with pytest.raises(FileError, match="expected a file name and a whole number"):
        load("esc50", tmp_path)


def test_a_header_of_many_columns_is_read_at_once(tmp_path: Path) -> None:
    put(tmp_path / "metadata.csv", ",".join(f"c{i}" for i in range(200_000)) + "\n")
    with pytest.raises(FileError, match="the header lacks file_name"):
        load("folder", tmp_path)


def test_a_name_that_no_file_can_have_is_one_line() -> None:
    with pytest.raises(FileError, match="no such file"):
        load("csv", "x" * 300)
