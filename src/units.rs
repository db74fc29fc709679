//! The only conversion table, and quantities parsed from text with their unit.
