// Package passport checks the passport of a request. Copy this file into a backend; it needs Go 1.18 or newer and the standard library alone.
// The rules, and vectors to try a change with, are in docs/verify.
//
//	verifier := passport.NewVerifier("https://passports.example.com", "cell:us01", "https://api.example.com/.well-known/jwks.json")
//	claims, err := verifier.Verify(r.Header.Values("X-Passport"))
//	if err != nil {
//		log.Printf("refused: %v", err) // a caller learns nothing but 401
//		w.WriteHeader(http.StatusUnauthorized)
//		return
//	}
package passport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	algorithm = "ES256"
	// TypePassport is the `typ` of passports, TypeTransactionToken that of Transaction Tokens.
	TypePassport         = "passport+jwt"
	TypeTransactionToken = "txntoken+jwt"
	// Bytes; longer ones are refused before any work is done.
	maxLength = 8_192
	// Seconds of clock difference that are tolerated.
	skewS = 5
	// A passport lives at most this long, in seconds, so one that claims more was not made by the gateway.
	maxLifetimeS = 60
	// After which the key set is read again, and that one request may take.
	keysMaxAge  = 5 * time.Minute
	keysTimeout = 5 * time.Second
	// An unknown key id makes us look again, but not before this has passed since the last look ended: anybody can invent key ids.
	keysMinInterval = 2 * time.Second
)

// Claims are those of a good passport. Numbers are json.Number.
type Claims map[string]any

// Verifier keeps a key cache of its own: make one and keep it. Safe for concurrent use.
type Verifier struct {
	Issuer, Audience string
	// Type is TypePassport unless the audience gets Transaction Tokens.
	Type string
	// Now is the clock.
	Now func() time.Time
	// Elapsed is the time since any moment, by a clock that nobody sets: the age of the keys goes by it.
	Elapsed func() time.Duration
	// ReadKeySet gives the key set's text.
	ReadKeySet func() ([]byte, error)

	// mutex is for those below; it is never held while the key set is read.
	mutex sync.Mutex
	keys  map[string]*ecdsa.PublicKey
	// hasRead and readAt say when the last read ended, whatever came of it.
	hasRead bool
	readAt  time.Duration
	// reading is closed when the read under way ends, and nil while there is none.
	reading chan struct{}
}

// NewVerifier accepts passports of issuer for audience alone, by the keys at keySetURL.
func NewVerifier(issuer, audience, keySetURL string) *Verifier {
	// A time.Time of this process has a monotonic reading, which time.Since goes by.
	start := time.Now()
	return &Verifier{
		Issuer:     issuer,
		Audience:   audience,
		Type:       TypePassport,
		Now:        time.Now,
		Elapsed:    func() time.Duration { return time.Since(start) },
		ReadKeySet: func() ([]byte, error) { return fetch(keySetURL) },
	}
}

// Verify takes all values of the header and gives the claims. The error says why not, for your log; a caller learns nothing but 401.
func (v *Verifier) Verify(values []string) (Claims, error) {
	if len(values) == 0 {
		return nil, errors.New("no passport")
	}
	token := values[0]
	// Some proxies join repeated headers with a comma, which no token holds.
	if len(values) > 1 || strings.Contains(token, ",") {
		return nil, errors.New("more than one passport")
	}
	parts := strings.Split(token, ".")
	if len(token) > maxLength || len(parts) != 3 {
		return nil, errNotJWT
	}
	head, err := parseObject(parts[0])
	if err != nil {
		return nil, err
	}
	claims, err := parseObject(parts[1])
	if err != nil {
		return nil, err
	}
	signature, err := decode(parts[2])
	if err != nil {
		return nil, err
	}
	if err := v.checkHeader(head); err != nil {
		return nil, err
	}
	key := v.find(head["kid"].(string))
	if key == nil {
		return nil, errors.New("unknown key")
	}
	if !isSignedBy(key, signature, token[:strings.LastIndex(token, ".")]) {
		return nil, errors.New("bad signature")
	}
	if err := v.checkClaims(claims); err != nil {
		return nil, err
	}
	return claims, nil
}

var errNotJWT = errors.New("not a JWT")

func (v *Verifier) checkHeader(header Claims) error {
	kid, isText := header["kid"].(string)
	switch {
	case header["alg"] != algorithm:
		return errors.New("another algorithm")
	case header["typ"] != v.Type:
		return errors.New("another type of token")
	case !isText || kid == "":
		return errors.New("no key id")
	// These three and nothing else: no `crit`, `jku`, `jwk` or `x5u` is even looked at.
	case len(header) != 3:
		return errors.New("unexpected header")
	}
	return nil
}

func (v *Verifier) checkClaims(claims Claims) error {
	now := v.Now().Unix()
	subject, isText := claims["sub"].(string)
	switch {
	case claims["iss"] != v.Issuer:
		return errors.New("another issuer")
	case claims["aud"] != v.Audience:
		return errors.New("made for another audience")
	case !isText || subject == "":
		return errors.New("no subject")
	}
	iat, isIat := seconds(claims["iat"])
	nbf, isNbf := seconds(claims["nbf"])
	exp, isExp := seconds(claims["exp"])
	switch {
	case !isIat || !isNbf || !isExp:
		return errors.New("no times")
	case exp <= now-skewS:
		return errors.New("expired")
	case iat > now+skewS || nbf > now+skewS:
		return errors.New("not yet valid")
	case iat < exp-maxLifetimeS:
		return errors.New("lives too long")
	}
	return nil
}

// find lets one goroutine read the key set; whose key is held does not wait for it.
func (v *Verifier) find(kid string) *ecdsa.PublicKey {
	v.mutex.Lock()
	key := v.keys[kid]
	due := keysMaxAge
	if key == nil {
		due = keysMinInterval
	}
	isDue := !v.hasRead || v.Elapsed()-v.readAt > due
	underWay := v.reading
	if underWay == nil && isDue {
		v.reading = make(chan struct{})
	}
	v.mutex.Unlock()
	switch {
	case underWay == nil && isDue:
		v.refresh()
	case underWay != nil && key == nil:
		<-underWay
	default:
		return key
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.keys[kid]
}

func (v *Verifier) refresh() {
	var keys map[string]*ecdsa.PublicKey
	defer func() {
		v.mutex.Lock()
		defer v.mutex.Unlock()
		// Without any the keys we have stay good; a backend that has none refuses everything until the gateway answers.
		if keys != nil {
			v.keys = keys
		}
		v.hasRead, v.readAt = true, v.Elapsed()
		close(v.reading)
		v.reading = nil
	}()
	if text, err := v.ReadKeySet(); err == nil {
		keys = importKeys(text)
	}
}

type jwk struct {
	Kty, Crv, Kid, X, Y string
	Alg, Use, D         *string
}

// importKeys leaves out keys that are not exactly ES256 public keys, and those that cannot be read; a kid that occurs twice is trusted in neither. Nil for what is no key set.
func importKeys(text []byte) map[string]*ecdsa.PublicKey {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return nil
	}
	keys := map[string]*ecdsa.PublicKey{}
	seen := map[string]bool{}
	for _, each := range set.Keys {
		var one jwk
		if err := json.Unmarshal(each, &one); err != nil || one.Kty != "EC" || one.Crv != "P-256" || one.D != nil || one.Kid == "" {
			continue
		}
		if (one.Alg != nil && *one.Alg != algorithm) || (one.Use != nil && *one.Use != "sig") {
			continue
		}
		// One that is no point on the curve is no reason to do without the others.
		key, err := importKey(one.X, one.Y)
		if err != nil || seen[one.Kid] {
			delete(keys, one.Kid)
		} else {
			keys[one.Kid] = key
		}
		seen[one.Kid] = true
	}
	return keys
}

// spkiPrefix stands before the 65 bytes of an uncompressed point on P-256 in a SubjectPublicKeyInfo (RFC 5480).
var spkiPrefix, _ = hex.DecodeString("3059301306072a8648ce3d020106082a8648ce3d030107034200")

// importKey goes by way of DER, because the library checks there that the point is on the curve.
func importKey(x, y string) (*ecdsa.PublicKey, error) {
	point := []byte{4}
	for _, coordinate := range []string{x, y} {
		decoded, err := decode(coordinate)
		if err != nil || len(decoded) != 32 {
			return nil, errors.New("a coordinate is not 32 bytes")
		}
		point = append(point, decoded...)
	}
	parsed, err := x509.ParsePKIXPublicKey(append(append([]byte{}, spkiPrefix...), point...))
	if err != nil {
		return nil, err
	}
	key, isECDSA := parsed.(*ecdsa.PublicKey)
	if !isECDSA {
		return nil, errors.New("not an ECDSA key")
	}
	return key, nil
}

// isSignedBy takes r and s side by side, as JWS has them (RFC 7518 §3.4).
func isSignedBy(key *ecdsa.PublicKey, signature []byte, signed string) bool {
	if len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(signed))
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

var canonicalPart = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// decode reads base64url in the one spelling of its bytes (RFC 4648 §3.5): with others, one token would have many.
func decode(part string) ([]byte, error) {
	if !canonicalPart.MatchString(part) {
		return nil, errNotJWT
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errNotJWT
	}
	return decoded, nil
}

func parseObject(part string) (Claims, error) {
	text, err := decode(part)
	if err != nil || !utf8.Valid(text) {
		return nil, errNotJWT
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object Claims
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, errNotJWT
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errNotJWT
	}
	return object, nil
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]{1,18}$`)

func seconds(value any) (int64, bool) {
	number, isNumber := value.(json.Number)
	if !isNumber || !wholeNumber.MatchString(number.String()) {
		return 0, false
	}
	whole, err := strconv.ParseInt(number.String(), 10, 64)
	return whole, err == nil
}

var client = &http.Client{
	Timeout:       keysTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func fetch(url string) ([]byte, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set answered %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, 1_000_000))
}
