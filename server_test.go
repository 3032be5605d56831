package main

import "testing"

// An error of several lines goes to the terminal as one, without what it says twice.
func TestErrorsAreToldInOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one":                        "one",
		"one\ntwo":                   "one; two",
		"failed:\n\ta\n\tb\n\ta\n":   "failed: a b",
		"lookup x: none\nx: none\ny": "lookup x: none; y",
		"A sentence.\nanother":       "A sentence. another",
	} {
		t.Run(text, func(t *testing.T) {
			if got := inOneLine(text); got != want {
				t.Errorf("%q is told as %q, want %q", text, got, want)
			}
		})
	}
}
