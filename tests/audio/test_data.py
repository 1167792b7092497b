"""Data sets on their own layouts, made small, with and without their audio."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tamis.audio.data import Collection, load
from tamis.core.errors import ConfigError, FileError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "audio"


def put(path: Path, text: str = "x", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


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
    assert (first.source, second.source) == ("123", "dog's bark.wav")
    assert got.missing == ("dog's bark.wav",)
    assert got.report() == "clotho-evaluation: 1 of 2 clips, 5 captions; 1 clips have no audio (dog's bark.wav)"


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
    assert (item.captions, item.labels, item.source) == (("people talk", "steps"), ("airport",), "airport-barcelona-0")
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
    assert [(item.labels, item.source, item.fold) for item in whole.here] == [
        (("crying baby",), "100", 1),
        (("dog",), "200", 2),
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
    assert (dog.captions, dog.labels, dog.source, dog.fold) == (("rose_bark.wav",), ("dog bark",), "100032", 1)
    assert (rain.captions, rain.labels, rain.source, rain.fold) == ((), ("rain",), "5", 4)
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
        folds.setdefault(item.source, set()).add(item.fold)
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
    assert (item.captions, item.labels, item.source) == (("rain on tin",), ("Rain", "Water"), "u")
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
    assert [(item.captions, item.source) for item in got.items] == [(("x", "y"), "s"), (("z",), "b.wav")]
    assert got.missing == ("b.wav",)


def test_a_table_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "secret.wav")
    root = tmp_path / "root"
    put(
        root / "metadata.csv",
        f"file_name,text\n../secret.wav,a\n{tmp_path}/secret.wav,b\nlink.wav,c\n{'x' * 5000}.wav,d\n",
    )
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    assert len(load("folder", root).missing) == 4


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
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    put(tmp_path / "metadata.csv", content)
    with pytest.raises(FileError, match=said):
        load("folder", tmp_path)


def test_a_table_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "metadata.csv", "file_name,text\na,caf\xe9\n", "latin-1")
    with pytest.raises(FileError, match=r"not UTF-8 at byte 20"):
        load("folder", tmp_path)
    with pytest.raises(FileError, match="no such folder"):
        load("folder", tmp_path / "none")
    with pytest.raises(FileError, match=r"list\.jsonl:2: expected a JSON object"):
        load("jsonl", put(tmp_path / "list.jsonl", '{"audio": "a"}\n[1]\n'))
