//! Chemical Markup Language: positions in space, in a crystal or drawn, isotopes, nesting.

use super::{edges, frame, read, refused, symbols};

/// A molecule with this inside.
fn file(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<molecule xmlns=\"http://www.xml-cml.org/schema\">{inside}</molecule>\n"
    )
}

fn atoms(list: &str) -> String {
    file(&format!("<atomArray>{list}</atomArray>"))
}

#[test]
fn positions_in_space_come_before_those_of_a_drawing() {
    let text = atoms(
        "<atom id='a' elementType='O' x2='5' y2='6' x3='0' y3='0' z3='0'/>\
         <atom id='b' elementType='H' x2='7' y2='8' x3='0.96' y3='0' z3='0'/>",
    );
    let found = read("a.cml", text);
    assert_eq!(
        found.positions[0].as_slice(),
        [0.0; 3],
        "the origin is a position too"
    );
    assert_eq!(found.notes, [""; 0]);
    let drawn = read("a.cml", atoms("<atom elementType='C' x2='1.5' y2='2'/>"));
    assert_eq!(drawn.positions[0].as_slice(), [1.5, 2.0, 0.0]);
    assert!(drawn.notes[0].contains("flat drawing"), "{:?}", drawn.notes);
    refused(
        "a.cml",
        atoms("<atom elementType='C' x3='1' y3='2'/>"),
        &["line 2: ", "position"],
    );
    refused(
        "a.cml",
        atoms("<atom elementType='C' x3='one' y3='2' z3='3'/>"),
        &["line 2: x3: \"one\""],
    );
}

#[test]
fn isotopes_charges_and_implied_hydrogens() {
    let of = |attributes: &str| {
        read(
            "i.cml",
            atoms(&format!("<atom x3='0' y3='0' z3='0' {attributes}/>")),
        )
    };
    for (attributes, mass) in [
        ("elementType='D'", 2.014101778),
        ("elementType='T'", 3.016049282),
        ("elementType='H' isotope='2'", 2.014101778),
        ("elementType='H' isotopeNumber='2'", 2.014101778),
        ("elementType='C' isotope='13.0034'", 13.0034),
        ("elementType='C'", 12.011),
    ] {
        assert_eq!(of(attributes).masses, [mass], "{attributes}");
    }
    assert!(of("elementType='Na' formalCharge='1'").notes[0].contains("in all +1"));
    assert!(of("elementType='C' hydrogenCount='4'").notes[0].contains("4 hydrogens"));
    for (attributes, says) in [
        ("", "without its element"),
        ("elementType='Du'", "\"Du\" is not an element's symbol"),
        ("elementType='C1'", "\"C1\" is not"),
        ("elementType='R'", "\"R\" is not"),
        ("elementType='C' isotope='x'", "isotope"),
        ("elementType='C' isotope='99'", "no isotope 99 of C"),
        ("elementType='C' formalCharge='much'", "formalCharge"),
        ("elementType='C' occupancy='0.5'", "occupied to 0.5"),
    ] {
        let text = atoms(&format!("<atom x3='0' y3='0' z3='0' {attributes}/>"));
        refused("i.cml", text, &["line 2: ", says]);
    }
}

#[test]
fn crystals_arrays_and_nesting() {
    let crystal = "<crystal><scalar title='a'>10</scalar><scalar title='b' units='units:angstrom'>11</scalar>\
        <scalar dictRef='iucr:_cell_length_c'> 12.0 </scalar></crystal>";
    let atom = "<atom elementType='Ar' xFract='0.5' yFract='0.25' zFract='0'/>";
    let text = file(&format!("{crystal}<atomArray>{atom}</atomArray>"));
    let found = read("c.cml", &text);
    assert_eq!(
        (edges(&found), found.positions[0].as_slice()),
        ([10.0, 11.0, 12.0], &[5.0, 2.75, 0.0][..])
    );
    let group = text.replace("</crystal>", "<symmetry spaceGroup='P 21/c'/></crystal>");
    assert!(read("c.cml", group).notes[0].contains("P 21/c"));
    refused(
        "c.cml",
        text.replace(">11<", ">-1<"),
        &["line 2: the crystal lacks edges"],
    );
    refused(
        "c.cml",
        text.replace(">11<", ">eleven<"),
        &["line 2: b: \"eleven\""],
    );
    let array = "<atomArray atomID='a b' elementType='O H' x3='0 0.96' y3='0 0' z3='0 0'/>";
    assert_eq!(symbols(&read("c.cml", file(array))), "O H");
    refused(
        "c.cml",
        file(&array.replace("0 0.96", "0")),
        &["line 2: x3 has other than 2 values"],
    );
    let part =
        "<molecule><atomArray><atom elementType='He' x3='0' y3='0' z3='3'/></atomArray></molecule>";
    let text = format!("<cml>{}<molecule>{part}{part}</molecule></cml>", part);
    let parts = frame("c.cml", &text, 1).unwrap();
    assert_eq!((parts.frames, parts.species.len()), (2, 2));
    // Prefixes of namespaces, and declarations of the document's type.
    let text = "<!DOCTYPE cml SYSTEM 'cml.dtd'><c:cml xmlns:c='http://www.xml-cml.org/schema'><c:molecule>\
        <c:atomArray><c:atom elementType='Ne' x3='1' y3='2' z3='3'/></c:atomArray></c:molecule></c:cml>";
    assert_eq!(symbols(&read("c.cml", text)), "Ne");
}

/// Entities that multiply fill no memory, and what is no CML is refused.
#[test]
fn what_is_no_cml_is_refused() {
    let entities: String = (1..30)
        .map(|k| format!("<!ENTITY e{k} '&e{};&e{};'>", k - 1, k - 1))
        .collect();
    let bomb = format!("<!DOCTYPE cml [<!ENTITY e0 'ha'>{entities}]><cml>&e29;</cml>");
    refused("n.cml", bomb, &["not a CML file, or damaged"]);
    let attributes: String = (0..5000).map(|k| format!(" a{k}='<>'")).collect();
    refused(
        "n.cml",
        format!("<molecule{}/>", attributes.replace('<', "")),
        &["tag 1 has 5000 attributes"],
    );
    refused("n.cml", "<molecule", &["not a CML file, or damaged"]);
    refused("n.cml", "<svg/>", &["there is no molecule"]);
    refused("n.cml", file(""), &["there are no atoms"]);
}
