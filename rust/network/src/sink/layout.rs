//! Where in its folder an object goes: a template such as `{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm`, compiled.

use std::borrow::Cow;
use std::path::PathBuf;

use dimsefast_identifier::{Tag, Vr, dictionary};
use thiserror::Error;

use super::Object;
use super::header::HeaderReader;
use super::name::{bounded, is_dangerous, safe_text, safe_uid, safe_value, uid_hash};

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct LayoutError(String);

/// What a field of a template stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// Of the command: what the response acknowledges.
    SopInstance,
    SopInstanceHash,
    SopClass,
    /// Of the presentation context.
    TransferSyntax,
    /// Of the association.
    Calling,
    Called,
    /// Of the dataset.
    Attribute(Tag),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

/// A template that has been checked.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The folders, and last the file.
    names: Vec<Vec<Part>>,
    /// What stands for an empty or missing value.
    missing: String,
    tags: Vec<Tag>,
}

impl Layout {
    /// Compiles a template. `find` gives the tag of a DICOM keyword.
    ///
    /// # Errors
    /// An unknown keyword, or one without text; an absolute path, `..`, an empty name or one with a meaning; unbalanced braces.
    pub fn new(template: &str, missing: &str, find: &mut dyn FnMut(&str) -> Option<Tag>) -> Result<Self, LayoutError> {
        let fail = |what: &str| LayoutError(format!("the layout {template:?} {what}"));
        if missing.is_empty() || safe_value(missing) != missing {
            return Err(LayoutError(format!("missing={missing:?} cannot be a part of a file name")));
        }
        if template.starts_with(['/', '\\']) {
            return Err(fail("is an absolute path: it must stay in its folder"));
        }
        let mut layout = Self { names: Vec::new(), missing: missing.to_owned(), tags: Vec::new() };
        for name in template.split('/') {
            let parts = parse(name, find).map_err(|what| fail(&what))?;
            match (parts.first(), parts.last()) {
                (None, _) => return Err(fail("has an empty name in it")),
                (Some(Part::Literal(text)), _) if text.starts_with('.') => {
                    return Err(fail("has a name that begins with a dot: it must stay in its folder, and be seen"));
                }
                (Some(Part::Literal(text)), _) if text.starts_with(' ') => {
                    return Err(fail("has a name that begins with a blank"));
                }
                (_, Some(Part::Literal(text))) if text.ends_with(['.', ' ']) => {
                    return Err(fail("has a name that ends with a dot or a blank"));
                }
                _ => layout.names.push(parts),
            }
        }
        layout.tags = layout
            .fields()
            .filter_map(|field| if let Field::Attribute(tag) = field { Some(tag) } else { None })
            .collect();
        Ok(layout)
    }

    /// `<SOP Instance UID>.dcm`
    pub fn flat() -> Self {
        let name = vec![Part::Field(Field::SopInstance), Part::Literal(".dcm".into())];
        Self { names: vec![name], missing: "unknown".into(), tags: Vec::new() }
    }

    /// One file, whatever the object.
    pub fn file(name: String) -> Self {
        Self { names: vec![vec![Part::Literal(name)]], missing: "unknown".into(), tags: Vec::new() }
    }

    /// Whether objects with different UIDs get different files.
    pub fn keeps_objects_apart(&self) -> bool {
        self.fields().any(|field| field == Field::SopInstance)
    }

    fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        self.names.iter().flatten().filter_map(|part| if let Part::Field(field) = part { Some(*field) } else { None })
    }

    /// The attributes of the dataset that it needs.
    pub(crate) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Where the object goes, relative to the folder.
    pub(crate) fn path(&self, object: &Object, header: Option<&HeaderReader>) -> PathBuf {
        self.names.iter().map(|parts| self.name(parts, object, header)).collect()
    }

    fn name(&self, parts: &[Part], object: &Object, header: Option<&HeaderReader>) -> String {
        let mut name = String::new();
        let mut kept = 0;
        for part in parts {
            match part {
                Part::Literal(text) => {
                    name.push_str(text);
                    kept = text.len();
                }
                Part::Field(field) => {
                    let value = value(*field, object, header);
                    name.push_str(if value.is_empty() { &self.missing } else { &value });
                    kept = 0;
                }
            }
        }
        bounded(name, kept)
    }
}

fn value<'a>(field: Field, object: &'a Object, header: Option<&HeaderReader>) -> Cow<'a, str> {
    match field {
        Field::SopInstance => safe_uid(&object.sop_instance).into(),
        Field::SopInstanceHash => uid_hash(&object.sop_instance).into(),
        Field::SopClass => safe_uid(&object.sop_class).into(),
        Field::TransferSyntax => safe_uid(&object.transfer_syntax).into(),
        Field::Calling => safe_value(&object.calling),
        Field::Called => safe_value(&object.called),
        Field::Attribute(tag) => {
            let Some((vr, raw)) = header.and_then(|header| header.raw(tag)) else { return "".into() };
            let text = header.and_then(|header| header.text(tag)).unwrap_or_default();
            if vr == Vr::UI && !text.is_empty() {
                return safe_uid(text.as_bytes()).into();
            }
            safe_text(&text, raw).into_owned().into()
        }
    }
}

/// Cuts a name into its parts.
fn parse(name: &str, find: &mut dyn FnMut(&str) -> Option<Tag>) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let open = rest.find(['{', '}']).unwrap_or(rest.len());
        let (literal, after) = rest.split_at(open);
        if let Some(character) = literal.chars().find(|character| is_dangerous(*character)) {
            return Err(format!("has the character {character:?}, which no file name should have"));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        let Some(field) = after.strip_prefix('{') else {
            if after.is_empty() {
                break;
            }
            return Err("has a } without its {".to_owned());
        };
        let close = field.find(['{', '}']).filter(|at| field[*at..].starts_with('}'));
        let close = close.ok_or("has a { without its }")?;
        parts.push(Part::Field(self::field(&field[..close], find)?));
        rest = &field[close + 1..];
    }
    Ok(parts)
}

fn field(keyword: &str, find: &mut dyn FnMut(&str) -> Option<Tag>) -> Result<Field, String> {
    match keyword {
        "SOPInstanceUID" => Ok(Field::SopInstance),
        "SOPInstanceUID.hash" => Ok(Field::SopInstanceHash),
        "SOPClassUID" => Ok(Field::SopClass),
        "TransferSyntaxUID" => Ok(Field::TransferSyntax),
        "CallingAETitle" => Ok(Field::Calling),
        "CalledAETitle" => Ok(Field::Called),
        _ => {
            let tag = find(keyword).ok_or_else(|| format!("has {{{keyword}}}, which is no DICOM keyword"))?;
            check_attribute(tag).map_err(|what| format!("has {{{keyword}}}, which {what}"))?;
            Ok(Field::Attribute(tag))
        }
    }
}

/// Whether an attribute can be had as text from the header of a dataset; what is in the way, if not.
pub fn check_attribute(tag: Tag) -> Result<(), &'static str> {
    if tag.is_outside_messages() {
        return Err("is no attribute of a dataset");
    }
    match dictionary::vr(tag, false) {
        Vr::SQ => Err("is a sequence"),
        Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => Err("has no text"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(keyword: &str) -> Option<Tag> {
        Some(Tag(match keyword {
            "PatientID" => 0x0010_0020,
            "PatientName" => 0x0010_0010,
            "StudyInstanceUID" => 0x0020_000D,
            "ReferencedStudySequence" => 0x0008_1110,
            "PixelData" => 0x7FE0_0010,
            "MediaStorageSOPClassUID" => 0x0002_0002,
            _ => return None,
        }))
    }

    fn error(template: &str) -> String {
        Layout::new(template, "unknown", &mut find).unwrap_err().to_string()
    }

    #[test]
    fn a_template_is_checked_before_anything_comes() {
        for (template, reason) in [
            ("{PatientId}", "no DICOM keyword"),
            ("{}", "no DICOM keyword"),
            ("{PatientID!r}", "no DICOM keyword"),
            ("/{PatientID}", "absolute"),
            ("\\\\host\\share", "absolute"),
            ("../{PatientID}", "begins with a dot"),
            ("{PatientID}/../x", "begins with a dot"),
            ("..{PatientID}", "begins with a dot"),
            ("{PatientID}//x", "empty name"),
            ("{PatientID}/", "empty name"),
            ("", "empty name"),
            ("{PatientID", "{ without its }"),
            ("{Patient{ID}}", "{ without its }"),
            ("PatientID}", "} without its {"),
            ("{PatientID}\\x", "character"),
            ("x\0", "character"),
            ("{PatientID}.", "ends with a dot"),
            ("{ReferencedStudySequence}", "is a sequence"),
            ("{PixelData}", "has no text"),
            ("{MediaStorageSOPClassUID}", "is no attribute of a dataset"),
        ] {
            let error = error(template);
            assert!(error.contains(reason), "{template}: {error}");
        }
        assert!(Layout::new("x", "../", &mut find).unwrap_err().to_string().contains("missing"));
        assert!(Layout::new("x", "", &mut find).is_err());
    }

    #[test]
    fn fields_of_command_and_association_need_no_header() {
        let object = Object {
            sop_class: b"1.2".to_vec(),
            sop_instance: b"1.2.3".to_vec(),
            transfer_syntax: b"1.2.840.10008.1.2".to_vec(),
            calling: "../MODALITY".into(),
            called: "ARCHIVE".into(),
        };
        let template =
            "{CalledAETitle}/{CallingAETitle}/{SOPClassUID}-{TransferSyntaxUID}/{PatientID}/{SOPInstanceUID}.dcm";
        let layout = Layout::new(template, "nobody", &mut find).unwrap();
        assert!(layout.keeps_objects_apart());
        assert_eq!(layout.tags(), [Tag(0x0010_0020)]);
        let path = layout.path(&object, None);
        let path = path.to_str().unwrap();
        let names: Vec<_> = path.split('/').collect();
        assert_eq!(names.len(), 5, "{path}");
        assert_eq!((names[0], names[2], names[3]), ("ARCHIVE", "1.2-1.2.840.10008.1.2", "nobody"));
        assert!(names[1].starts_with("_._MODALITY-"), "{path}");
        assert_eq!(names[4], "1.2.3.dcm");
        let layout = Layout::new("{SOPInstanceUID.hash}/x", "nobody", &mut find).unwrap();
        assert_eq!(layout.path(&object, None), PathBuf::from(uid_hash(b"1.2.3")).join("x"));
        assert!(!layout.keeps_objects_apart());
        assert_eq!(Layout::flat().path(&object, None), PathBuf::from("1.2.3.dcm"));
    }
}
