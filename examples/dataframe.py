"""What an archive has, as a pandas data frame: for a notebook.

python examples/dataframe.py ARCHIVE@127.0.0.1:11112 --since 2004-01-01
"""

import argparse
from datetime import date

import pandas as pd
from dimsefast import AssociationError, Client, query

COLUMNS = ["PatientID", "PatientName", "StudyDate", "ModalitiesInStudy", "StudyDescription", "StudyInstanceUID"]


def studies(archive, **attributes):
    """The studies that match, one a row, dates as dates."""
    rows = [
        {keyword: found.get(keyword) for keyword in COLUMNS}
        for found in archive.find(query.study(COLUMNS, **attributes))
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS).astype({"PatientID": str, "PatientName": str, "StudyInstanceUID": str})
    frame["StudyDate"] = pd.to_datetime(frame["StudyDate"], format="%Y%m%d", errors="coerce")
    return frame


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", metavar="AET@HOST:PORT")
    parser.add_argument("--since", type=date.fromisoformat, default=None, metavar="YYYY-MM-DD")
    arguments = parser.parse_args()
    with Client(arguments.archive) as archive:
        frame = studies(archive, study_date=(arguments.since, None))
    print(frame.drop(columns="StudyInstanceUID").to_string(index=False))
    print(frame["StudyDate"].dt.year.value_counts(sort=False).sort_index().rename("studies a year").to_string())


if __name__ == "__main__":
    try:
        main()
    except AssociationError as error:
        raise SystemExit(str(error)) from None
