//! What a packet says beyond the columns of fixes, as the JSON of `source_metadata`.

use std::fmt::Write;

use super::reading::Fix;

/// Writes the metadata of `fix` into `json`, in place of what was there.
pub(super) fn write_metadata(json: &mut String, fix: &Fix<'_>) {
    json.clear();
    // Writing to a String does not fail.
    let _ = write(json, fix);
}

fn write(json: &mut String, fix: &Fix<'_>) -> std::fmt::Result {
    let comment = &fix.comment;
    json.push_str("{\"protocol\":\"aprs\"");
    if let Some(signal) = comment.signal_db {
        write!(json, ",\"snr_db\":{signal}")?;
    }
    if let Some(count) = comment.bit_errors {
        write!(json, ",\"bit_errors_corrected\":{count}")?;
    }
    if let Some(offset) = comment.frequency_offset_khz {
        write!(json, ",\"freq_offset_khz\":{offset}")?;
    }
    if let Some((horizontal, vertical)) = comment.gnss_resolution {
        write!(
            json,
            ",\"gnss_horizontal_resolution\":{horizontal},\"gnss_vertical_resolution\":{vertical}"
        )?;
    }
    if let Some(level) = comment.flight_level {
        write!(json, ",\"flight_level\":{level}")?;
    }
    if let Some(category) = comment.emitter_category {
        // A letter and a digit: nothing that JSON would escape.
        write!(json, ",\"emitter_category\":\"{category}\"")?;
    }
    rare(json, fix)?;
    json.push('}');
    Ok(())
}

/// What few packets carry.
fn rare(json: &mut String, fix: &Fix<'_>) -> std::fmt::Result {
    let comment = &fix.comment;
    if let Some(power) = comment.power_dbm {
        write!(json, ",\"signal_power_dbm\":{power}")?;
    }
    if let Some(version) = comment.software_version {
        write!(json, ",\"software_version\":{version}")?;
    }
    if let Some(version) = comment.hardware_version {
        write!(json, ",\"hardware_version\":{version}")?;
    }
    if let Some(address) = comment.original_address {
        write!(json, ",\"original_address\":\"{address:06X}\"")?;
    }
    if let Some(kind) = comment.fanet.kind {
        write!(json, ",\"fanet_kind\":{kind}")?;
    }
    if let Some(factor) = comment.fanet.spreading_factor {
        write!(json, ",\"spreading_factor\":{factor}")?;
    }
    if let Some(rate) = comment.fanet.coding_rate {
        write!(json, ",\"coding_rate\":{rate}")?;
    }
    if fix.device.stealth {
        json.push_str(",\"stealth\":true");
    }
    Ok(())
}
