package passport

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestVectors tries the verifier against every vector: `cd docs/verify/go && go test`.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Issuer, Audience string
		KeySets          map[string]json.RawMessage
		Vectors          []struct {
			Name, Token, KeySet, Reason string
			Now                         int64
			Valid                       bool
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, vector := range document.Vectors {
		verifier := NewVerifier(document.Issuer, document.Audience, "")
		verifier.Now = func() time.Time { return time.Unix(vector.Now, 0) }
		verifier.ReadKeySet = func() ([]byte, error) { return document.KeySets[vector.KeySet], nil }
		said := ""
		if _, err := verifier.Verify([]string{vector.Token}); err != nil {
			said = err.Error()
		}
		if said != vector.Reason {
			t.Errorf("%s: %q, should be %q", vector.Name, said, vector.Reason)
			continue
		}
		right++
	}
	t.Logf("go: %d of %d vectors as they should be", right, len(document.Vectors))
}
