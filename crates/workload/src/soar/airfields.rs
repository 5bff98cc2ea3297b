//! Airfields that gliders and receivers of the sample are at home: real places, as far as a sample needs them to be.

/// An airfield: ICAO code, country, degrees north and east, feet above mean sea level.
#[derive(Debug)]
pub(crate) struct Airfield {
    pub(crate) ident: &'static str,
    pub(crate) name: &'static str,
    pub(crate) country: &'static str,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) elevation_feet: i32,
}

const fn airfield(
    ident: &'static str,
    name: &'static str,
    country: &'static str,
    (latitude, longitude): (f64, f64),
    elevation_feet: i32,
) -> Airfield {
    Airfield {
        ident,
        name,
        country,
        latitude,
        longitude,
        elevation_feet,
    }
}

/// All airfields, from the southern Alps to the North Sea.
pub(crate) const AIRFIELDS: [Airfield; 32] = [
    airfield(
        "LFMX",
        "Château-Arnoux-Saint-Auban",
        "FR",
        (44.060, 5.991),
        1_509,
    ),
    airfield("LFNF", "Vinon", "FR", (43.738, 5.784), 902),
    airfield("LFNA", "Gap-Tallard", "FR", (44.455, 6.038), 1_986),
    airfield("LFMR", "Barcelonnette", "FR", (44.387, 6.609), 3_714),
    airfield("LFNS", "Sisteron", "FR", (44.287, 5.930), 1_771),
    airfield("LFLE", "Challes-les-Eaux", "FR", (45.561, 5.976), 973),
    airfield("LFLG", "Grenoble Le Versoud", "FR", (45.219, 5.850), 722),
    airfield("LSZB", "Bern-Belp", "CH", (46.914, 7.497), 1_673),
    airfield("LSZG", "Grenchen", "CH", (47.182, 7.417), 1_411),
    airfield("LSTZ", "Zweisimmen", "CH", (46.552, 7.381), 3_046),
    airfield("LSMF", "Mollis", "CH", (47.079, 9.065), 1_470),
    airfield("LSZF", "Birrfeld", "CH", (47.444, 8.234), 1_301),
    airfield("LSTB", "Bellechasse", "CH", (46.978, 7.133), 1_421),
    airfield("LSZR", "Altenrhein", "CH", (47.485, 9.561), 1_306),
    airfield(
        "EDMQ",
        "Donauwörth-Genderkingen",
        "DE",
        (48.704, 10.853),
        1_314,
    ),
    airfield("EDTF", "Freiburg im Breisgau", "DE", (48.020, 7.834), 801),
    airfield("EDTB", "Baden-Oos", "DE", (48.792, 8.187), 410),
    airfield("EDLO", "Oerlinghausen", "DE", (51.932, 8.663), 557),
    airfield("EDKB", "Bonn-Hangelar", "DE", (50.769, 7.163), 197),
    airfield("EDFE", "Frankfurt-Egelsbach", "DE", (49.960, 8.646), 384),
    airfield("EDPD", "Dingolfing", "DE", (48.656, 12.500), 1_165),
    airfield("LOIJ", "St. Johann in Tirol", "AT", (47.520, 12.450), 2_198),
    airfield("LOIR", "Reutte-Höfen", "AT", (47.470, 10.690), 2_805),
    airfield("LOWZ", "Zell am See", "AT", (47.292, 12.789), 2_470),
    airfield("LOXN", "Wiener Neustadt West", "AT", (47.842, 16.224), 879),
    airfield("LOKN", "Niederöblarn", "AT", (47.478, 14.006), 2_133),
    airfield("LILH", "Voghera-Rivanazzano", "IT", (44.961, 9.010), 423),
    airfield("LIDT", "Trento-Mattarello", "IT", (46.021, 11.124), 610),
    airfield("EPKA", "Kielce-Masłów", "PL", (50.897, 20.732), 1_010),
    airfield("EGHL", "Lasham", "GB", (51.187, -1.033), 618),
    airfield("EHTL", "Terlet", "NL", (52.057, 5.924), 276),
    airfield("EBNM", "Namur-Suarlée", "BE", (50.488, 4.769), 594),
];
