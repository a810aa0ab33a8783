"""Names of well-known corpora's files say emotion and speaker."""

import pytest

from emotion_search.engine.files.corpus_names import CORPORA
from emotion_search.engine.files.path_rules import PathRule


@pytest.mark.parametrize(
    ("corpus", "path", "label", "speaker"),
    [
        ("ravdess", "/x/Actor_12/03-01-06-01-02-01-12.wav", "fear", "12"),
        ("emodb", "/x/03a01Wa.wav", "anger", "03"),
        ("emodb", "/x/16b10Td.flac", "sadness", "16"),
        ("crema-d", "/x/1001_DFA_HAP_XX.wav", "happiness", "1001"),
        ("tess", "/x/OAF_Fear/OAF_back_ps.wav", "surprise", "OAF"),
        ("tess", "/x/OA_bite_neutral.wav", "neutral", "OA"),
        ("nemo", "/x/SJB_surprised_83.wav", "surprise", "SJB"),
        ("nemo", "/x/SJB_anger_83.wav", "anger", "SJB"),
        ("savee", "/x/DC/sa03.wav", "sadness", "DC"),
        ("savee", "/x/JK_a03.wav", "anger", "JK"),
    ],
)
def test_a_name_says_emotion_and_speaker(corpus, path, label, speaker):
    naming = CORPORA[corpus]
    found = PathRule(naming.pattern, naming.labels)(path)
    assert (found.labels, found.speaker) == ({"emotion": label}, speaker)
    others = [one for one in CORPORA.values() if one is not naming]
    assert all(not PathRule(one.pattern, one.labels)(path).labels for one in others)
