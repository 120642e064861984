"""The statements find at least everything that the engine matches: held together over random objects and queries."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest
from dimsefast import Archive, MatchError, sop_class
from dimsefast.archive.schema import instance
from dimsefast.archive.search import Options, Search
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .raw import LEVELS, UNIQUE, Element, encoded, expected, file, rows

FIND = {
    "PatientRoot": sop_class.PatientRootQueryRetrieveInformationModelFind,
    "StudyRoot": sop_class.StudyRootQueryRetrieveInformationModelFind,
}
MOVE = {
    "PatientRoot": sop_class.PatientRootQueryRetrieveInformationModelMove,
    "StudyRoot": sop_class.StudyRootQueryRetrieveInformationModelMove,
}

#: By keyword: representation, what is stored, what is asked for.
ATTRIBUTES: dict[str, tuple[str, list[bytes], list[bytes]]] = {
    "PatientID": (
        "LO",
        [b"", b"A", b"A", b"B", b"B", b"A\\B", b"a", b" A ", b"A%1", b"A_1", b"\xc4", "Ä".encode()],
        [b"", b"A", b"B", b"a", b"A*", b"?", b"*", b"A\\B", b"A%*", b"A_1", b" A", b"\xc4", "Ä*".encode()],
    ),
    "StudyInstanceUID": (
        "UI",
        [b"", b"1.1", b"1.1", b"1.2", b" 1.2", b"1.1\\1.2"],
        [b"", b"1.1", b"1.2", b"1.1\\1.2", b"1.*"],
    ),
    "SeriesInstanceUID": ("UI", [b"", b"2.1", b"2.1", b"2.2", b"2.1\\2.2"], [b"", b"2.1", b"2.2", b"2.1\\2.2", b"*"]),
    "SOPInstanceUID": ("UI", [b"3.1", b"3.2", b"3.3", b"3.4", b"3.5"], [b"", b"3.1", b"3.1\\3.2\\3.5", b"9.9", b"*"]),
    "SOPClassUID": (
        "UI",
        [b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.4"],
        [b"", b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.2\\1.2"],
    ),
    "PatientName": (
        "PN",
        [
            b"SMITH^JOHN",
            b"Smith^John ",
            b"SMITH ^JOHN",
            b" SMITH",
            b"SMITH^JOHN^^",
            b"SMITH=X",
            b"=X",
            b"^",
            b"SMITH",
            b"SMITH^^DR",
            b"Smithe^Jon",
            b"M\xfcller^Hans",
            "Müller^Hans".encode(),
            b"SMITH\\JONES",
            b"",
            b"A%_/Z",
            b"K",
            b"SMITH^JOHN=",
            b"SMITH \0",
            b"X\x1b$B;3\x1b(B",
        ],
        [
            b"SMITH^JOHN",
            b"smith*",
            b"S?ITH*",
            b"*JOHN",
            b"SMITH^J*",
            b"*^*",
            b"?SMITH",
            b"SMITH",
            b"smith ^john",
            b"M*",
            b"M\xfcller*",
            "Müller^HANS".encode(),
            b"=X",
            b"=*",
            b"SMITH^",
            b"Smyth^Jon",
            b"SMITH\\J*",
            b"^",
            b"A%_/*",
            b"?",
            b"*X",
            "\N{KELVIN SIGN}".encode(),
            b"*^*^*",
            b"S*^^*",
            b" SMITH",
            b"**",
        ],
    ),
    "PatientBirthDate": ("DA", [b"", b"19700101", b"1970", b"19700102"], [b"", b"19700101", b"1970", b"-19700101"]),
    "PatientSex": ("CS", [b"", b"M", b"F", b"m"], [b"", b"M", b"?", b"M\\F"]),
    "StudyDate": (
        "DA",
        [
            b"20200101",
            b"2020",
            b"202001",
            b"20201301",
            b"2020.01.01",
            b"20200102\\20210101",
            b"",
            b" 20200101",
            b"20200103",
            b"00010101",
            b"99991231",
        ],
        [
            b"20200101",
            b"20200101-20200103",
            b"-20200101",
            b"20200102-",
            b"2020",
            b"20201301",
            b"20200101\\20200102",
            b"19991231-20200101",
            b"",
            b"99991231",
            b"00010101-",
        ],
    ),
    "StudyTime": (
        "TM",
        [b"10", b"1030", b"103000.5", b"235960", b"000000", b"", b"2359", b"10:30:00", b"1\\2"],
        [b"1030-1100", b"10", b"-10", b"235960", b"2330-", b"103000.5", b"", b"1000-235960", b"23-01"],
    ),
    "AccessionNumber": (
        "SH",
        [b"A1", b"a1", b"A%", b"A_1", b"A*", b"A1\\A2", b" A1 ", b"", b"\xc41", b"A/1", b"A\tB"],
        [b"A1", b"A*", b"A?", b"*1", b"A%", b"A_*", b"[A]*", b"A1\\A2", b"a1", b"", b"\xc4*", b"A/*", b"A* \\B", b'""'],
    ),
    "StudyID": ("SH", [b"", b"1"], [b"", b"1"]),
    "ReferringPhysicianName": ("PN", [b"", b"DOC^A", b"doc^a"], [b"", b"DOC*", b"doc^A"]),
    "StudyDescription": ("LO", [b"", b"HEAD", b"Head"], [b"", b"HEAD", b"H*", b"*D"]),
    "Modality": (
        "CS",
        [b"CT", b"CT", b"MR", b"ct", b"CT\\MR", b" CT", b""],
        [b"CT", b"C*", b"CT\\MR", b"?R", b"", b"X"],
    ),
    "SeriesNumber": (
        "IS",
        [b"1", b"01", b"+1", b"1.0", b"x", b"1\\2", b"", b"9999999999999", b"-1"],
        [b"1", b"1\\2", b"1.0", b"x", b"-1", b"", b"9999999999999"],
    ),
    "SeriesDescription": ("LO", [b"", b"AX", b"ax"], [b"", b"AX", b"a?"]),
    "BodyPartExamined": ("CS", [b"", b"ARM"], [b"", b"A*", b"LEG"]),
    "PerformedProcedureStepStartDate": ("DA", [b"", b"20200101", b"20200103"], [b"", b"20200101", b"20200102-"]),
    "PerformedProcedureStepStartTime": ("TM", [b"", b"0030", b"2330"], [b"", b"0000-0100", b"23-"]),
    "InstanceNumber": ("IS", [b"1", b"2", b"", b"02"], [b"1", b"2", b"", b"1\\2"]),
    "InstitutionName": ("LO", [b"", b"X"], [b"", b"X", b"Y*"]),
    "TimezoneOffsetFromUTC": ("SH", [b"+0100", b"-0500", b"+1400"], [b"+0100", b"-1200", b"+0000"]),
}
COMPUTED = {
    "NumberOfPatientRelatedStudies": ("IS", [b"", b"1", b"2", b"1\\2"]),
    "NumberOfPatientRelatedSeries": ("IS", [b"", b"1", b"3"]),
    "NumberOfPatientRelatedInstances": ("IS", [b"", b"1", b"4"]),
    "NumberOfStudyRelatedSeries": ("IS", [b"", b"1", b"2"]),
    "NumberOfStudyRelatedInstances": ("IS", [b"", b"1", b"2", b"x"]),
    "NumberOfSeriesRelatedInstances": ("IS", [b"", b"1", b"2"]),
    "ModalitiesInStudy": ("CS", [b"", b"CT", b"MR\\CT", b"C*", b"T"]),
    "SOPClassesInStudy": ("UI", [b"", b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840"]),
}
#: What is stored beside an attribute where that counts: a date moves with its time.
BESIDE = {
    "StudyDate": [Element("StudyTime", "TM", b"2330"), Element("TimezoneOffsetFromUTC", "SH", b"-1200")],
    "StudyTime": [Element("StudyDate", "DA", b"20200101"), Element("TimezoneOffsetFromUTC", "SH", b"+0100")],
    "PerformedProcedureStepStartDate": [
        Element("PerformedProcedureStepStartTime", "TM", b"0030"),
        Element("TimezoneOffsetFromUTC", "SH", b"+1400"),
    ],
}
_NEEDED = ("SOPClassUID", "SOPInstanceUID")
#: What some objects and some queries give their values in, in place of the right representation.
_OTHER = {"LO": "SH", "SH": "UN", "PN": "LO", "CS": "UN", "DA": "LO", "IS": "LO"}


@st.composite
def objects(draw: Any) -> list[Element]:
    chosen = draw(st.sets(st.sampled_from(sorted(ATTRIBUTES))).map(lambda found: found | {*_NEEDED, "PatientName"}))
    out = []
    if draw(st.booleans()):
        character_set = draw(st.sampled_from([b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87"]))
        out.append(Element("SpecificCharacterSet", "CS", character_set))
    for keyword in [*UNIQUE[:3], *sorted(chosen - {*UNIQUE[:3]})]:
        vr, values, _ = ATTRIBUTES[keyword]
        if draw(st.integers(0, 15)) == 15 and keyword not in UNIQUE:
            vr = _OTHER.get(vr, vr)
        out.append(Element(keyword, vr, draw(st.sampled_from(values))))
    return out


@st.composite
def queries(draw: Any) -> tuple[str, str, Options, list[Element]]:
    root = draw(st.sampled_from(sorted(FIND)))
    level = draw(st.sampled_from(LEVELS[root == "StudyRoot" :]))
    options = Options(*(draw(st.booleans()) for _ in Options._fields))
    keys = draw(st.sets(st.sampled_from([*sorted(ATTRIBUTES), *["PatientName", "StudyDate"] * 3]), max_size=3))
    above = UNIQUE[root == "StudyRoot" : LEVELS.index(level)]
    out = [Element("QueryRetrieveLevel", "CS", level.encode())]
    if draw(st.booleans()):
        out.append(Element("SpecificCharacterSet", "CS", draw(st.sampled_from([b"ISO_IR 100", b"ISO_IR 192"]))))
    for keyword in sorted(keys | set(above) | {UNIQUE[LEVELS.index(level)]}):
        vr, _, values = ATTRIBUTES[keyword]
        if keyword in above and not options.relational:
            values = [value for value in values if value and not set(value) & set(b"*?\\")]
        if draw(st.integers(0, 15)) == 15:
            vr = _OTHER.get(vr, vr)
        out.append(Element(keyword, vr, draw(st.sampled_from(values))))
    for keyword in draw(st.sets(st.sampled_from(sorted(COMPUTED)), max_size=2)):
        vr, values = COMPUTED[keyword]
        out.append(Element(keyword, vr, draw(st.sampled_from(values))))
    return root, level, options, out


def _uids(archive: Archive, search: Search) -> list[str]:
    with archive.database.reading() as connection:
        uids = {row.key: row.sop_instance_uid for row in connection.execute(instance.select())}
    return [uids[key] for key in search.instances()]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(objects(), min_size=1, max_size=8), st.lists(queries(), min_size=10, max_size=25))
def test_an_archive_finds_what_the_engine_matches(
    stored: list[list[Element]], asked: list[tuple[str, str, Options, list[Element]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder, Archive(folder) as archive:
        for one in stored:
            (result,) = archive.add([file(one)])
            assert result.status == 0, result.error
            # One batch each, so that rows change.
            archive.up_to_date()
        at_level = {level: rows(stored, level) for level in LEVELS}
        for root, level, options, identifier in asked:
            try:
                responses, instances = expected(at_level[level], identifier, FIND[root], options)
            except MatchError:
                with pytest.raises(MatchError):
                    Search(archive.database, encoded(identifier), FIND[root], options)
                continue
            search = Search(archive.database, encoded(identifier), FIND[root], options)
            assert sorted(search.responses()) == sorted(responses), (root, level, options, identifier)
            try:
                search = Search(archive.database, encoded(identifier), MOVE[root], options)
            except MatchError:
                continue
            assert sorted(_uids(archive, search)) == sorted(instances), (root, level, options, identifier)


@pytest.mark.parametrize("keyword", [keyword for keyword in ATTRIBUTES if keyword not in UNIQUE])
def test_each_value_of_an_attribute_against_each_key(keyword: str) -> None:
    vr, values, asked = ATTRIBUTES[keyword]
    stored = []
    for number, value in enumerate(values):
        # A study of its own with two objects, the second of which says something else.
        for instance_number, said in enumerate([value] + [values[0]] * (number % 2)):
            uid = f"1.{number + 1}"
            unique = dict(zip(UNIQUE, (str(number), uid, f"{uid}.1", f"{uid}.{instance_number + 2}"), strict=True))
            elements = [Element(name, ATTRIBUTES[name][0], text.encode()) for name, text in unique.items()]
            elements.append(Element("SpecificCharacterSet", "CS", b"ISO_IR 192" if number % 3 else b"ISO_IR 100"))
            if keyword != "SOPClassUID":
                elements.append(Element("SOPClassUID", "UI", ATTRIBUTES["SOPClassUID"][1][0]))
            stored.append([*elements, *BESIDE.get(keyword, []), Element(keyword, vr, said)])
    with tempfile.TemporaryDirectory() as folder, Archive(folder) as archive:
        assert all(result.status == 0 for result in archive.add([file(one) for one in stored]))
        archive.up_to_date()
        for level in LEVELS:
            found = rows(stored, level)
            for options in (Options(relational=True), Options(*[True] * 6), Options(relational=True, datetime=True)):
                for value in asked:
                    identifier = [Element("QueryRetrieveLevel", "CS", level.encode()), Element(keyword, vr, value)]
                    identifier.append(Element("SpecificCharacterSet", "CS", b"ISO_IR 192"))
                    # The other way than those of the stored objects.
                    offset = b"+1400" if keyword == "StudyDate" else b"-1200"
                    identifier.append(Element("TimezoneOffsetFromUTC", "SH", offset))
                    responses, _ = expected(found, identifier, FIND["PatientRoot"], options)
                    search = Search(archive.database, encoded(identifier), FIND["PatientRoot"], options)
                    assert sorted(search.responses()) == sorted(responses), (level, value, options)
