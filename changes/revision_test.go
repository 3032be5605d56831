package changes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"roster/changes"
	"roster/db"
)

// universe is the highest transaction number of the model. It is small, so that sets
// often overlap.
const universe = 12

// modelled is the text of a revision and the plain set of transactions that it covers.
type modelled struct {
	text string
	set  [universe + 1]bool
}

func drawRevision(t *rapid.T, name string) (m modelled) {
	form := rapid.IntRange(1, 3).Draw(t, name+" form")
	if form&1 != 0 {
		end := rapid.IntRange(1, universe+1).Draw(t, name+" end")
		begin := rapid.IntRange(1, end).Draw(t, name+" begin")
		var running []string
		for xid := 1; xid < end; xid++ {
			if xid >= begin && rapid.Bool().Draw(t, name+" runs") {
				running = append(running, fmt.Sprint(xid))
			} else {
				m.set[xid] = true
			}
		}
		m.text = fmt.Sprintf("%d:%d:%s", begin, end, strings.Join(running, ","))
	}
	if form&2 != 0 {
		own := rapid.IntRange(1, universe).Draw(t, name+" own")
		m.set[own] = true
		if m.text != "" {
			m.text += "+"
		}
		m.text += fmt.Sprint(own)
	}
	return m
}

func TestRevisionsAreSetsOfTransactions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRevision(t, "a"), drawRevision(t, "b")
		subset := !slices.ContainsFunc([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, func(xid int) bool { return a.set[xid] && !b.set[xid] })
		parsedA, errA := changes.ParseRevision(a.text)
		parsedB, errB := changes.ParseRevision(b.text)
		if errA != nil || errB != nil {
			t.Fatalf("%q: %v, %q: %v", a.text, errA, b.text, errB)
		}
		if got := parsedB.Covers(parsedA); got != subset {
			t.Fatalf("%s covers %s: got %v, want %v", b.text, a.text, got, subset)
		}
		if parsedA.String() != a.text {
			t.Fatalf("%s is written as %s", a.text, parsedA)
		}
	})
}

func TestRevisionsAtTheEndOfNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		b, a string
		want bool
	}{
		{b: "18446744073709551615", a: "18446744073709551615", want: true},
		{b: "1:18446744073709551615:", a: "18446744073709551614", want: true},
		{b: "1:18446744073709551615:", a: "18446744073709551615", want: false},
		{b: "1:18446744073709551615:+18446744073709551615", a: "5:18446744073709551615:", want: true},
		{b: "1:1:", a: "1:18446744073709551615:", want: false},
		{b: "5", a: "1:18446744073709551615:", want: false},
	} {
		t.Run(c.b+" covers "+c.a, func(t *testing.T) {
			t.Parallel()
			b, a := mustParse(t, c.b), mustParse(t, c.a)
			if got := b.Covers(a); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestRevisionOfNothing(t *testing.T) {
	t.Parallel()
	var zero changes.Revision
	one := zero.With(db.Revision(1))
	if zero.String() != "" || one.String() != "1" {
		t.Errorf("%q and %q", zero, one)
	}
	if !zero.Covers(zero) || !one.Covers(zero) || zero.Covers(one) {
		t.Error("the zero revision is not the empty set")
	}
	if got := mustParse(t, "7:9:7").With(12).String(); got != "7:9:7+12" {
		t.Error(got)
	}
}

func TestParseRevisionIsStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "0", "01", "-1", "+1", "1+", "1+2", " 1", "1 ", "1x", "1.0", "1e3", "18446744073709551616",
		":", "::", "1:", "1:2", "0:1:", "2:1:", "1:2:3", "1:5:0", "2:5:1", "1:5:5", "1:5:3,2", "1:5:3,3", "1:5:3,", "1:5:,3",
		"1:5::", "1:5:3:4", "1:5:+", "1:5:+0", "1:5:+2+3", "1:5:3+ 4", "1:5:\x003", "٣",
		"1:2:" + strings.Repeat(" ", 64<<10),
		".1", "1b4e28b.1", "1B4E28BA.1", "1b4e28bag.1", "1b4e28ba.", "1b4e28ba", "1b4e28ba.1.2", "1b4e28ba.1b4e28ba.1",
	} {
		t.Run(fmt.Sprintf("%.40q", text), func(t *testing.T) {
			t.Parallel()
			if r, err := changes.ParseRevision(text); err == nil {
				t.Errorf("it was read as %.40q", r)
			}
		})
	}
}

func FuzzParseRevision(f *testing.F) {
	for _, text := range []string{"1042", "1040:1045:1040,1043", "1040:1045:1040,1043+1047", "1b4e28ba.1042", "1b4e28ba.1040:1045:1040"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := changes.ParseRevision(text)
		if err == nil && (r.String() != text || !r.Covers(r)) {
			t.Errorf("%q was read as %q", text, r)
		}
	})
}

func mustParse(t *testing.T, text string) changes.Revision {
	t.Helper()
	r, err := changes.ParseRevision(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}
