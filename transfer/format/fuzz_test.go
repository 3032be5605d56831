package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// seeds adds the files of testdata with one of the extensions.
func seeds(f *testing.F, extensions ...string) {
	f.Helper()
	files, err := filepath.Glob("testdata/files/*")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, path := range files {
		if !slices.Contains(extensions, filepath.Ext(path)) {
			continue
		}
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
}

// sentinels are rows that are read wherever they stand between others.
const sentinels = 3

// checkSentinels reads a file that ends with sentinels, and fails unless each is read as
// what it is, at its line.
func checkSentinels(t *testing.T, file []byte, o Options) {
	t.Helper()
	o.Limits.Record = 1 << 12
	got := read(t, file, o)
	if got.Error != "" {
		t.Fatalf("the file ends by %s", got.Error)
	}
	if n := len(got.Records); n < sentinels {
		t.Fatalf("%d records", n)
	}
	line := countLines(bytes.TrimRight(file, "\n")) + 1
	last := got.Records[len(got.Records)-sentinels:]
	for i, record := range last {
		if want := line - sentinels + 1 + i; record.ExternalID != fmt.Sprintf("sentinel-%d", i) || len(record.Errors) > 0 || record.Line != want {
			t.Errorf("of line %d, it read %+v", want, record)
		}
	}
	for i, record := range got.Records[1:] {
		if record.Line <= got.Records[i].Line {
			t.Errorf("line %d comes after line %d", record.Line, got.Records[i].Line)
		}
	}
}

// Whatever stands between rows of CSV, the rows after it are read, each at its line.
func FuzzCSV(f *testing.F) {
	seeds(f, ".csv")
	f.Fuzz(func(t *testing.T, middle []byte) {
		file := slices.Concat([]byte("id,first_name,last_name\n"), middle, []byte("\n"))
		for i := range sentinels {
			file = fmt.Appendf(file, "sentinel-%d,Ann,Lee\n", i)
		}
		checkSentinels(t, file, Options{Format: CSV})
	})
}

// Whatever stands between lines of JSON, the lines after it are read, each at its own.
func FuzzNDJSON(f *testing.F) {
	seeds(f, ".ndjson", ".json")
	f.Fuzz(func(t *testing.T, middle []byte) {
		file := slices.Concat([]byte(`{"id":"first"}`+"\n"), middle, []byte("\n"))
		for i := range sentinels {
			file = fmt.Appendf(file, `{"id":"sentinel-%d"}`+"\n", i)
		}
		checkSentinels(t, file, Options{Format: KindeNDJSON})
	})
}

// Whatever an array of JSON has in it, reading it ends, and goes forward.
func FuzzJSONArray(f *testing.F) {
	seeds(f, ".json", ".ndjson")
	f.Fuzz(func(t *testing.T, elements []byte) {
		file := slices.Concat([]byte(`[{"user_id":"first"},`), elements, []byte("]"))
		got := read(t, file, Options{Format: Auth0BulkJSON, Limits: Limits{Record: 1 << 12}})
		if got.Error != "" || len(got.Records) == 0 || got.Records[0].ExternalID != "first" {
			t.Fatalf("%+v", got)
		}
		for i, record := range got.Records[1:] {
			if record.Line < got.Records[i].Line || record.Line > 1+countLines(file) {
				t.Errorf("line %d comes after line %d", record.Line, got.Records[i].Line)
			}
		}
	})
}

// Any file at all, packed or not, is read or refused.
func FuzzOpen(f *testing.F) {
	seeds(f, ".csv", ".ndjson", ".json", ".zip", ".gz", ".xlsx")
	f.Fuzz(func(t *testing.T, file []byte) {
		got := read(t, file, Options{Limits: Limits{Unpacked: 1 << 20, Record: 1 << 12}})
		for _, record := range got.Records {
			if record.Line < 1 {
				t.Errorf("%+v", record)
			}
		}
	})
}

// CSV that encoding/csv writes and reads is read alike, however it comes in, with the same
// lines.
func TestCSVLikeTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // any numbers do
			words := []string{"", "a", `"`, `""`, ",", "\n", "x y", "\r\n", "'", "ß", strings.Repeat("long ", 300)}
			var file bytes.Buffer
			w := csv.NewWriter(&file)
			w.UseCRLF = seed%2 == 1
			for range 1 + random.IntN(400) {
				row := []string{"x", "", "", "y"} // a row of blanks alone would be passed over
				for i := range row {
					for range random.IntN(4) {
						row[i] += words[random.IntN(len(words))]
					}
				}
				if err := w.Write(row); err != nil {
					t.Fatal(err)
				}
			}
			w.Flush()
			var from io.Reader = bytes.NewReader(file.Bytes())
			if seed%3 == 0 {
				from = iotest.HalfReader(from)
			}
			c := &cells{source: newSource(from, 1<<20), separator: ','}
			c.source.buffer = make([]byte, 16) // windows grow from here
			theirs := csv.NewReader(bytes.NewReader(file.Bytes()))
			for {
				want, err := theirs.Read()
				line, fault, ourErr := c.next()
				if errors.Is(err, io.EOF) && errors.Is(ourErr, io.EOF) {
					return
				}
				if err != nil || ourErr != nil || fault != nil {
					t.Fatal(err, ourErr, fault)
				}
				wantLine, _ := theirs.FieldPos(0)
				var got []string
				for _, cell := range c.row {
					got = append(got, strings.ReplaceAll(string(cell), "\r\n", "\n"))
				}
				if !slices.Equal(got, want) || line != wantLine {
					t.Fatalf("line %d, not %d:\n%q\n%q", line, wantLine, got, want)
				}
			}
		})
	}
}

// What Guard writes, Unguard reads, and no cell that a spreadsheet would run is left.
func TestGuard(t *testing.T) {
	t.Parallel()
	cells := []string{"", "'", "''", "'t Hooft", "'=", "''=", "'''=", "''t", "'\t", "a=b"}
	for c := range rune(0x10000) {
		cells = append(cells, string(c), string(c)+"x", "'"+string(c), "''"+string(c))
	}
	for _, cell := range cells {
		guarded := Guard(cell)
		if Unguard(guarded) != cell {
			t.Errorf("%q becomes %q, and that %q", cell, guarded, Unguard(guarded))
		}
		if guarded != "" && strings.IndexByte("=+-@\t\r", guarded[0]) >= 0 {
			t.Errorf("%q is left as it is", cell)
		}
		if runs := strings.TrimLeft(cell, "'"); guarded != cell && !strings.ContainsAny(runs[:1], "=+-@\t\r") {
			t.Errorf("%q is guarded for nothing", cell)
		}
	}
}
