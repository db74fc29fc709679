//! Colours of the elements, those that Jmol has made usual (jmol.sourceforge.net, "Jmol element colors").

/// Red, green and blue in the order of atomic numbers from 1.
#[rustfmt::skip]
const COLOURS: [u32; 96] = [
    0xFFFFFF, 0xD9FFFF,
    0xCC80FF, 0xC2FF00, 0xFFB5B5, 0x909090, 0x3050F8, 0xFF0D0D, 0x90E050, 0xB3E3F5,
    0xAB5CF2, 0x8AFF00, 0xBFA6A6, 0xF0C8A0, 0xFF8000, 0xFFFF30, 0x1FF01F, 0x80D1E3,
    0x8F40D4, 0x3DFF00, 0xE6E6E6, 0xBFC2C7, 0xA6A6AB, 0x8A99C7, 0x9C7AC7, 0xE06633, 0xF090A0, 0x50D050, 0xC88033, 0x7D80B0,
    0xC28F8F, 0x668F8F, 0xBD80E3, 0xFFA100, 0xA62929, 0x5CB8D1,
    0x702EB0, 0x00FF00, 0x94FFFF, 0x94E0E0, 0x73C2C9, 0x54B5B5, 0x3B9E9E, 0x248F8F, 0x0A7D8C, 0x006985, 0xC0C0C0, 0xFFD98F,
    0xA67573, 0x668080, 0x9E63B5, 0xD47A00, 0x940094, 0x429EB0,
    0x57178F, 0x00C900, 0x70D4FF, 0xFFFFC7, 0xD9FFC7, 0xC7FFC7, 0xA3FFC7, 0x8FFFC7, 0x61FFC7, 0x45FFC7, 0x30FFC7, 0x1FFFC7,
    0x00FF9C, 0x00E675, 0x00D452, 0x00BF38, 0x00AB24,
    0x4DC2FF, 0x4DA6FF, 0x2194D6, 0x267DAB, 0x266696, 0x175487, 0xD0D0E0, 0xFFD123, 0xB8B8D0,
    0xA6544D, 0x575961, 0x9E4FB5, 0xAB5C00, 0x754F45, 0x428296,
    0x420066, 0x007D00, 0x70ABFA, 0x00BAFF, 0x00A1FF, 0x008FFF, 0x0080FF, 0x006BFF, 0x545CF2, 0x785CE3,
];

/// Of elements that have no colour of their own.
const OTHER: u32 = 0xC0A0C0;

/// The colour of an atomic number: red, green and blue from 0 to 255.
pub fn of_element(number: u8) -> [u8; 3] {
    let place = usize::from(number).checked_sub(1);
    let colour = place.and_then(|k| COLOURS.get(k)).unwrap_or(&OTHER);
    [16, 8, 0].map(|shift| (colour >> shift) as u8)
}

/// A colour made lighter (`part` above 0, white at 1) or darker (below, black at -1), as SVG has it.
pub fn shaded(colour: [u8; 3], part: f64) -> String {
    let towards = if part > 0.0 { 255.0 } else { 0.0 };
    let [red, green, blue] = colour.map(|c| {
        let c = f64::from(c);
        (c + (towards - c) * part.abs().min(1.0)).round() as u8
    });
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_elements_have_their_usual_colours() {
        assert_eq!(of_element(1), [255; 3]);
        assert_eq!(of_element(6), [144; 3]);
        assert_eq!(of_element(7), [0x30, 0x50, 0xF8]);
        assert_eq!(of_element(8), [0xFF, 0x0D, 0x0D]);
        assert_eq!(of_element(79), [0xFF, 0xD1, 0x23]);
        assert_eq!(of_element(96), [0x78, 0x5C, 0xE3]);
        assert_eq!(of_element(0), of_element(118));
        assert_eq!(shaded([0, 255, 100], -1.0), "#000000");
        assert_eq!(shaded([0, 255, 100], 0.5), "#80ffb2");
    }
}
