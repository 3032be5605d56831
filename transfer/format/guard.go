package format

import "strings"

// Guard returns a cell of CSV so that no spreadsheet runs it as a formula: an apostrophe
// comes before =, +, -, @, a tab and a carriage return at its beginning, and before
// apostrophes that one of them follows. Unguard takes it off again.
// (https://owasp.org/www-community/attacks/CSV_Injection)
func Guard(cell string) string {
	if isFormula(cell) || isGuarded(cell) {
		return "'" + cell
	}
	return cell
}

// Unguard returns a cell without the apostrophe that Guard puts before it. It leaves other
// apostrophes alone ('t Hooft).
func Unguard(cell string) string {
	if isGuarded(cell) {
		return cell[1:]
	}
	return cell
}

func isFormula(cell string) bool {
	return cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0
}

func isGuarded(cell string) bool {
	rest := strings.TrimLeft(cell, "'")
	return len(rest) < len(cell) && isFormula(rest)
}
