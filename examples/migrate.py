"""Moves the studies of one archive to another; may be stopped and started again at any time.

python examples/migrate.py OLD@127.0.0.1:11112 NEW@127.0.0.1:11113 --done done.txt
"""

import argparse
import tempfile
from pathlib import Path

from dimsefast import AssociationError, Client, DimsefastError, query


def instances(archive, study):
    """The SOP Instance UIDs of a study."""
    keys = {"study_instance_uid": study.StudyInstanceUID}
    found = set()
    for series in archive.find(query.series(["SeriesInstanceUID"], **keys)):
        images = query.image(["SOPInstanceUID"], series_instance_uid=series.SeriesInstanceUID, **keys)
        found.update(str(image.SOPInstanceUID) for image in archive.find(images))
    return found


def migrate(source, target, study):
    """One study: got, stored, and compared. What says why it is not over there; empty where it is."""
    with tempfile.TemporaryDirectory(prefix="migrate-") as folder:
        got = source.get(query.study(study_instance_uid=study.StudyInstanceUID), into=folder)
        if not got.ok:
            return str(got)
        # What an attempt before this one has brought over is not sent again.
        stored = target.store(folder, skip_existing=True)
        if not stored.ok:
            return str(stored)
    missing = instances(source, study) - instances(target, study)
    return f"{len(missing)} objects are missing at {target.peer}" if missing else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", metavar="AET@HOST:PORT")
    parser.add_argument("target", metavar="AET@HOST:PORT")
    parser.add_argument("--done", type=Path, default=Path("done.txt"), help="studies that are over there")
    arguments = parser.parse_args()
    done = set(arguments.done.read_text().split()) if arguments.done.exists() else set()
    failures = 0
    with Client(arguments.source) as source, Client(arguments.target) as target:
        studies = [study for study in source.find(query.study()) if study.StudyInstanceUID not in done]
        print(f"{len(done)} studies are over there already, {len(studies)} to go")
        for study in studies:
            try:
                problem = migrate(source, target, study)
            except DimsefastError as error:
                problem = str(error)
            if problem:
                failures += 1
                print(f"{study.StudyInstanceUID}: {problem}")
                continue
            with arguments.done.open("a") as file:
                file.write(f"{study.StudyInstanceUID}\n")
            print(f"{study.StudyInstanceUID}: done")
    if failures:
        raise SystemExit(f"{failures} studies are not over there: start it again")


if __name__ == "__main__":
    try:
        main()
    except AssociationError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("stopped: start it again to go on") from None
