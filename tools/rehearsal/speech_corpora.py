"""Small LibriSpeech, AN4, CHiME-4, Fluent Speech Commands, IEMOCAP and Speech Commands trees.

They are laid out as published.
"""

from itertools import cycle, islice

from rehearsal.files import Content, Noise, Speech, Tree

SENTENCES = (
    "THE BOAT LEFT THE HARBOUR BEFORE DAWN", "HE ASKED FOR WATER", "SHE SANG QUIETLY TO THE CHILD",
    "NOBODY KNEW THE OLD ROAD", "A COLD WIND CAME OVER THE HILLS", "THEY SAT DOWN BY THE FIRE",
    "IT WAS A VERY FINE MORNING", "BRING ME THE LETTER", "WE SHALL SEE EACH OTHER AGAIN",
)  # fmt: skip


def librispeech() -> Tree:
    """LibriSpeech/: one chapter per speaker; one utterance is longer than a training crop."""
    files: dict[str, Content] = {
        f"{name}.TXT": f"; {name} of LibriSpeech\n"
        for name in ("README", "LICENSE", "CHAPTERS", "SPEAKERS", "BOOKS")
    }
    sentences = cycle(SENTENCES)
    for number, (name, speakers, each) in enumerate((
        ("train-clean-100", 2, 3), ("train-clean-360", 1, 2), ("train-other-500", 1, 2),
        ("dev-clean", 1, 1), ("test-clean", 1, 1), ("test-other", 1, 1),
    )):  # fmt: skip
        for speaker in range(speakers):
            spk, chapter = str(84 + 100 * number + speaker), str(121123 + speaker)
            texts = list(islice(sentences, each))
            if name == "train-other-500":
                texts[0] = " ".join(SENTENCES)
            ids = [f"{spk}-{chapter}-{n:04d}" for n in range(each)]
            below = f"{name}/{spk}/{chapter}"
            files[f"{below}/{spk}-{chapter}.trans.txt"] = "".join(
                f"{utt} {text}\n" for utt, text in zip(ids, texts, strict=True)
            )
            files |= {
                f"{below}/{utt}.flac": Speech(text, spk)
                for utt, text in zip(ids, texts, strict=True)
            }
    return files


def an4() -> Tree:
    """an4_sphere.tar.gz: big-endian SPHERE files; <s> and </s> only in the training transcripts."""
    # Nine of the 74 training speakers; the recipe uses mcen and mjdr as dev.
    speakers = ("fash", "fbbh", "fclc", "fejs", "mblb", "mblw", "mcen", "mdcs", "mjdr")
    said = cycle(("GO", "YES", "ERASE C Q Q F SEVEN", "RUBOUT T G J W B SEVENTY NINE FIFTY NINE",
                  "P I T T S B U R G H"))  # fmt: skip
    train = [(f"an4_clstk/{s}/an{251 + n}-{s}-b", s, next(said)) for n, s in enumerate(speakers)]
    test = [(f"an4test_clstk/menk/an{422 + n}-menk-b", "menk", next(said)) for n in range(2)]
    files: dict[str, Content] = {
        "LICENSE": "CMU\n", "README": "an4\n", "etc/an4.dic": "A AH\n", "etc/an4.phone": "AH\n",
        "etc/an4.filler": "<s> SIL\n", "etc/an4.ug.lm": "",
    }  # fmt: skip
    for part, utts, form in (("train", train, "<s> {} </s> ({})\n"), ("test", test, "{} ({})\n")):
        files[f"etc/an4_{part}.fileids"] = "".join(f"{path}\n" for path, _, _ in utts)
        files[f"etc/an4_{part}.transcription"] = "".join(
            form.format(text, path.rpartition("/")[2]) for path, _, text in utts
        )
        files |= {f"wav/{path}.sph": Speech(text, speaker) for path, speaker, text in utts}
    return files


def chime4() -> Tree:
    """Six channels and a close-talking one (CH0) in training, a single channel in tests.

    The booth recordings, which belong to none of the four environments, are there too, and the
    transcripts contain WSJ's marks.
    """
    audio = "data/audio/16kHz"
    files: dict[str, Content] = {
        "data/annotations/dt05_real.json": "[]\n",
        f"{audio}/embedded/F01_141118_010_BUS.CH1.wav": Noise(1.0),
        f"{audio}/backgrounds/BGD_150203_010_CAF.CH1.wav": Noise(1.0),
        f"{audio}/isolated/dt05_bth/F01_050C0101_BTH.CH0.wav": Noise(1.0),
        "data/transcriptions/dt05_bth.dot_all": "NOT READ (F01_050C0101_BTH)\n",
    }
    sentences = cycle(SENTENCES)
    for number, (name, each) in enumerate((("tr05_real", 2), ("dt05_real", 1), ("dt05_simu", 1),
                                           ("et05_real", 1), ("et05_simu", 1))):  # fmt: skip
        part, arm = name.split("_")
        lines = []
        for place in ("bus", "caf", "ped", "str"):
            for n in range(each):
                speaker = f"{'FM'[n]}0{number + 1}"
                utt, text = f"{speaker}_05{n}C0101_{place.upper()}", next(sentences)
                lines.append(f"{text.replace(' THE ', ' the ')} [LOUD_BREATH] . ({utt})\n")
                below, speech = f"{part}_{place}_{arm}", Speech(text, speaker)
                if part == "tr05":
                    for channel in range(7):
                        files[f"{audio}/isolated/{below}/{utt}.CH{channel}.wav"] = speech
                else:
                    files[f"{audio}/isolated_1ch_track/{below}/{utt}.wav"] = speech
                files[f"data/transcriptions/{below}/{utt}.dot"] = lines[-1]
        files[f"data/transcriptions/{name}.dot_all"] = "".join(lines)
    return files


def fluent_speech_commands() -> Tree:
    """Tables with an unnamed first column and quoted transcripts; speakers differ between parts."""
    requests = (
        ("Change language", "change language", "none", "none"),
        ('"Turn up the heat, please"', "increase", "heat", "none"),
        ("It\u2019s too loud, turn the volume down", "decrease", "volume", "none"),
        ("Switch on the lights in the bedroom", "activate", "lights", "bedroom"),
        ("Bring me my shoes", "bring", "shoes", "none"),
    )
    files: dict[str, Content] = {
        "readme.md": "Fluent Speech Commands\n",
        "Fluent Speech Commands Public License.pdf": b"%PDF-1.5\n",
        "data/speaker_demographics.csv": "speakerId,gender\n2BqVo8kVB2Skwgyb,female\n",
    }
    of_part = {"train": ("2BqVo8kVB2Skwgyb", "d3erpyk88nHWL6pn"), "valid": ("4aGjX3AG5xcxeL7a",),
               "test": ("4BrX8aDqK2cLZRYl",)}  # fmt: skip
    for part, speakers in of_part.items():
        rows = [",path,speakerId,transcription,action,object,location\n"]
        for speaker in speakers:
            for n, (text, *slots) in enumerate(requests):
                name = f"wavs/speakers/{speaker}/{n:08x}-4484-11e9-a9a5-5dbec3b8816a.wav"
                said = text if text.startswith('"') else f'"{text}"' if "," in text else text
                rows.append(f"{len(rows) - 1},{name},{speaker},{said},{','.join(slots)}\n")
                files[name] = Speech(text.strip('"'), speaker)
        files[f"data/{part}_data.csv"] = "".join(rows)
    return files


def iemocap() -> Tree:
    """Five sessions with all that has to be skipped: labels other than the four of the task, lines
    of single evaluators, turns without a label or a name, Latin-1 letters, self-evaluations."""
    labels = ("neu", "ang", "sad", "exc", "hap", "fru", "xxx")
    files: dict[str, Content] = {"README.txt": "IEMOCAP\n", "Documentation/index.html": "<html>"}
    for session in range(1, 6):
        top = f"Session{session}"
        # Folds that train on sessions 1, 3 or 5 use the improvised dialogue of these as dev.
        names = [f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1"]
        for dialogue in names:
            turns = [(f"{dialogue}_{'FM'[n % 2]}{n:03d}", label) for n, label in enumerate(labels)]
            evaluation = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "".join(
                f"[{n}.2901 - {n}.9357]\t{utt}\t{label}\t[2.5000, 2.5000, 2.5000]\n"
                f"C-E{n}:\tNeutral;\t(caf\xe9)\nA-E{n}:\tval 3; act 2; dom  2;\t()\n\n"
                for n, (utt, label) in enumerate(turns)
            )
            words = f"{dialogue}_FXX0 [000.1000-000.2000]: [BREATHING]\nM: Oh.\n" + "".join(
                f"{utt} [{n:03d}.2901-{n:03d}.9357]: Excuse me [LAUGHTER], it's {n}.\n"
                for n, (utt, _) in enumerate(turns)
            )
            below = f"{top}/dialog/EmoEvaluation"
            files[f"{below}/{dialogue}.txt"] = evaluation
            files[f"{below}/Categorical/{dialogue}_e2_cat.txt"] = f"{dialogue} :Neutral;\n"
            files[f"{top}/dialog/transcriptions/{dialogue}.txt"] = words
            files[f"{top}/dialog/lab/Ses0{session}_F/{dialogue}.lab"] = "0.1 0.9\n"
            for utt, _ in turns[:5]:
                speaker = utt[:5] + utt.rpartition("_")[2][0]
                files[f"{top}/sentences/wav/{dialogue}/{utt}.wav"] = Speech("excuse me", speaker)
                files[f"{top}/sentences/ForcedAlignment/{dialogue}/{utt}.wdseg"] = ""
    return files


def speech_commands() -> Tree:
    """Version 2: ten keywords and other words, the lists, and a README beside the noise."""
    keywords = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
    speakers = {"0a7c2a8d": "", "0132a06d": "", "026290a7": "validation", "0c40e715": "testing"}
    files: dict[str, Content] = {"README.md": "# Speech Commands\n", "LICENSE": "CC BY 4.0\n"}
    lists: dict[str, list[str]] = {"validation": [], "testing": []}
    for word in (*keywords, "marvin", "tree"):
        for speaker, part in speakers.items():
            name = f"{word}/{speaker}_nohash_0.wav"
            # Most last about a second; some are shorter.
            files[name] = Speech(word, speaker, silence=0.1 if word == "go" else 0.4)
            if part:
                lists[part].append(name)
    background = "_background_noise_"
    files |= {f"{part}_list.txt": "\n".join(names) + "\n" for part, names in lists.items()}
    files |= {f"{background}/{n}.wav": Noise(20.0) for n in ("doing_the_dishes", "white_noise")}
    return files | {f"{background}/README.md": "white_noise.wav is generated\n"}
