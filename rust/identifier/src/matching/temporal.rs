//! Dates and times as spans: `1030` is the minute from 10:30:00 to 10:30:59.999999.
//!
//! A value becomes a number that compares as time does; what is not written is the beginning in the lower bound and the end in the upper.

use std::borrow::Cow;

/// A value of DA, TM or DT: the first and the last instant that it names, in microseconds of a proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub first: i64,
    /// The last instant.
    pub last: i64,
    /// The UTC offset that was written, in minutes; `None` where there was none.
    pub offset: Option<i32>,
}

/// What a key asks for: instants from the first to the last, the ends included; `None` is an open end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first instant.
    pub from: Option<i64>,
    /// The last instant.
    pub to: Option<i64>,
}

impl Range {
    /// Whether a stored value lies within. What it leaves out may lie on either side: it does where the two overlap.
    pub fn overlaps(&self, span: &Span) -> bool {
        self.from.is_none_or(|from| span.last >= from) && self.to.is_none_or(|to| span.first <= to)
    }

    /// The range of a date key and that of a time key as one range of instants (PS3.4 C.2.2.2.5.4): from the first time of the first day
    /// to the last time of the last day.
    pub fn combined(date: Self, time: Self) -> Self {
        Self {
            from: date.from.map(|from| from + time.from.unwrap_or(0)),
            // The end of a range of dates is the last instant of a day.
            to: date.to.map(|to| time.to.map_or(to, |time| to - (DAY - 1) + time)),
        }
    }
}

const SECOND: i64 = 1_000_000;
/// A minute, in microseconds.
pub(crate) const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A day, in microseconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Digits as a number; `None` where there is anything else.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Days since 0000-03-01 (H. Hinnant's algorithm, for years from 0 on).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// An instant as a date, `YYYYMMDD`.
pub fn date_text(instant: i64) -> String {
    let (year, month, day) = civil(instant.div_euclid(DAY));
    format!("{year:04}{month:02}{day:02}")
}

/// An instant as a time of its day, `HHMMSS.FFFFFF`.
pub fn time_text(instant: i64) -> String {
    let at = instant.rem_euclid(DAY);
    format!("{:02}{:02}{:02}.{:06}", at / HOUR, at / MINUTE % 60, at / SECOND % 60, at % SECOND)
}

fn month_length(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days(next_year, next, 1) - days(year, month, 1)
}

/// A date `YYYYMMDD`, or of less precision `YYYYMM` and `YYYY`, or `YYYY.MM.DD` as before DICOM 3.0.
pub fn date(text: &str) -> Option<Span> {
    if text.len() == 10 && text.as_bytes()[4] == b'.' && text.as_bytes()[7] == b'.' {
        let plain: String = text.chars().filter(|c| *c != '.').collect();
        return (plain.len() == 8).then(|| date_part(&plain))?;
    }
    matches!(text.len(), 4 | 6 | 8).then(|| date_part(text))?
}

/// `YYYY`, `YYYYMM` or `YYYYMMDD`.
fn date_part(text: &str) -> Option<Span> {
    let year = number(text.get(..4)?)?;
    let month = text
        .get(4..)
        .filter(|rest| !rest.is_empty())
        .map(|rest| number(rest.get(..2)?))
        .map_or(Some(None), |m| m.map(Some))?;
    let day = text
        .get(6..)
        .filter(|rest| !rest.is_empty())
        .map(|rest| number(rest.get(..2)?))
        .map_or(Some(None), |d| d.map(Some))?;
    if month.is_some_and(|month| !(1..=12).contains(&month)) {
        return None;
    }
    let (first, last) = match (month, day) {
        (None, _) => (days(year, 1, 1), days(year + 1, 1, 1) - 1),
        (Some(month), None) => (days(year, month, 1), days(year, month, 1) + month_length(year, month) - 1),
        (Some(month), Some(day)) => {
            if !(1..=month_length(year, month)).contains(&day) {
                return None;
            }
            (days(year, month, day), days(year, month, day))
        }
    };
    Some(Span { first: first * DAY, last: (last + 1) * DAY - 1, offset: None })
}

/// A time `HH`, `HHMM`, `HHMMSS` or `HHMMSS.F` with up to six digits, or with colons as before DICOM 3.0.
pub fn time(text: &str) -> Option<Span> {
    let plain = if text.contains(':') { Cow::Owned(text.replace(':', "")) } else { Cow::Borrowed(text) };
    let (whole, fraction) = match plain.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (&*plain, None),
    };
    let part = |at: usize, most: i64| -> Option<i64> { number(whole.get(at..at + 2)?).filter(|value| *value <= most) };
    let (mut first, mut unit) = (part(0, 23)? * HOUR, HOUR);
    if whole.len() >= 4 {
        (first, unit) = (first + part(2, 59)? * MINUTE, MINUTE);
    }
    if whole.len() >= 6 {
        // 60 is a leap second.
        (first, unit) = (first + part(4, 60)? * SECOND, SECOND);
    }
    if !matches!(whole.len(), 2 | 4 | 6) || (fraction.is_some() && whole.len() != 6) {
        return None;
    }
    if let Some(fraction) = fraction {
        let value = number(fraction).filter(|_| fraction.len() <= 6)?;
        unit = SECOND / 10_i64.pow(u32::try_from(fraction.len()).ok()?);
        first += value * unit;
    }
    Some(Span { first, last: first + unit - 1, offset: None })
}

/// A date-time `YYYY[MM[DD[HH[MM[SS[.F]]]]]][&ZZXX]`, in UTC where it has an offset; without one, `local` minutes are taken off.
pub fn date_time(text: &str, local: i32) -> Option<Span> {
    let sign = text.get(4..)?.find(['+', '-']).map(|at| at + 4);
    let (value, offset) = match sign {
        Some(at) => {
            let zone = text.get(at + 1..)?;
            let minutes = number(zone.get(..2)?)? * 60 + number(zone.get(2..4)?)?;
            if zone.len() != 4 || minutes > 14 * 60 {
                return None;
            }
            let minutes = i32::try_from(minutes).ok()?;
            (&text[..at], Some(if text.as_bytes()[at] == b'-' { -minutes } else { minutes }))
        }
        None => (text, None),
    };
    if !value.is_ascii() {
        return None;
    }
    let split = value.len().min(8);
    let mut span = date_part(&value[..split])?;
    if !matches!(split, 4 | 6 | 8) {
        return None;
    }
    if value.len() > 8 {
        let time = time(&value[8..])?;
        span = Span { first: span.first + time.first, last: span.first + time.last, offset: None };
    }
    let shift = i64::from(offset.unwrap_or(local)) * MINUTE;
    Some(Span { first: span.first - shift, last: span.last - shift, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_in_order() {
        let day = |text| date(text).unwrap();
        assert_eq!(day("20240229").first + DAY, day("20240301").first);
        assert_eq!(day("20231231").last + 1, day("20240101").first);
        assert_eq!(day("1999.12.31"), day("19991231"));
        for bad in ["20230229", "20231301", "202", "2023123x", ""] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn instants_are_written_as_they_are_read() {
        for text in ["00010101", "19700101", "20000229", "20240301", "20241231", "99991231"] {
            assert_eq!(date_text(date(text).unwrap().first), text);
            assert_eq!(date_text(date(text).unwrap().last), text);
        }
        assert_eq!(time_text(time("103015.5").unwrap().first), "103015.500000");
        assert_eq!(time_text(time("23").unwrap().last), "235959.999999");
    }

    #[test]
    fn times_cover_what_they_leave_out() {
        let span = time("1030").unwrap();
        assert_eq!((span.first, span.last), (10 * HOUR + 30 * MINUTE, 10 * HOUR + 31 * MINUTE - 1));
        assert_eq!(time("103015.5").unwrap().last - time("103015.5").unwrap().first, SECOND / 10 - 1);
        assert_eq!(time("10:30:15"), time("103015"));
        for bad in ["1", "24", "1060", "10.5", "1030155", "103015.1234567", "", "ab"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn date_times_honour_their_offset() {
        let at = |text| date_time(text, 0).unwrap().first;
        assert_eq!(at("20240101120000+0100"), at("20240101110000"));
        assert_eq!(at("20240101120000-0530"), at("20240101173000"));
        assert_eq!(date_time("20240101120000", 60).unwrap().first, at("20240101110000"));
        assert_eq!(date_time("2024-0500", 0).unwrap().offset, Some(-300));
        for bad in ["202", "20240101120000+1", "20240101120000+9900", "2024010112+", "é0240101"] {
            assert_eq!(date_time(bad, 0), None, "{bad}");
        }
    }
}
