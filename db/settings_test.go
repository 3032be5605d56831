package db

import "testing"

func TestButtonColours(t *testing.T) {
	t.Parallel()
	for colour, want := range map[string]string{
		"#ffffff": "#ffffff #000000", "#000000": "#000000 #ffffff", "#FFDD00": "#FFDD00 #000000", "#0f766e": "#0f766e #ffffff",
		"red": defaultColour + " #ffffff", "#fff": defaultColour + " #ffffff", "#12345678": defaultColour + " #ffffff", "": defaultColour + " #ffffff",
	} {
		t.Run(colour, func(t *testing.T) {
			t.Parallel()
			if button, label := ButtonColours(colour); button+" "+label != want {
				t.Errorf("%s %s, want %s", button, label, want)
			}
		})
	}
}
