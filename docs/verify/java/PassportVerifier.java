import java.io.IOException;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECFieldFp;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.EllipticCurve;
import java.security.spec.InvalidKeySpecException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Checks the passport of a request. Copy this file into a backend (and give it a package); it needs JDK 11 or newer and nothing else.
 * The rules, and vectors to try a change with, are in docs/verify.
 *
 * <pre>{@code
 * PassportVerifier verifier = new PassportVerifier(
 *     "https://passports.example.com", "cell:us01", URI.create("https://api.example.com/.well-known/jwks.json"));
 * try {
 *   // All of them: getHeader gives the first of several.
 *   Map<String, Object> claims = verifier.verify(Collections.list(request.getHeaders("x-passport")));
 * } catch (PassportVerifier.Refused refused) {
 *   log.info("refused: {}", refused.getMessage()); // a caller learns nothing but 401
 *   response.setStatus(401);
 * }
 * }</pre>
 *
 * Keeps a key cache of its own: make one and keep it. Safe to share between threads.
 */
public final class PassportVerifier {
  private static final String ALGORITHM = "ES256";
  /** Characters; longer ones are refused before any work is done. */
  private static final int MAX_LENGTH = 8_192;
  /** Seconds of clock difference that are tolerated. */
  private static final long SKEW_S = 5;
  /** A passport lives at most this long, so one that claims more was not made by the gateway. */
  private static final long MAX_LIFETIME_S = 60;
  /** After which the key set is read again, and that one request may take. */
  private static final long KEYS_MAX_AGE_MS = 300_000;
  private static final Duration KEYS_TIMEOUT = Duration.ofSeconds(5);
  /** An unknown key id makes us look again, but not before this has passed since the last look ended: anybody can invent key ids. */
  private static final long KEYS_MIN_INTERVAL_MS = 2_000;
  /**
   * Threads that may wait for a read that another makes, with a key id that is not held: when a new key signs at once, a hundred calls a second pass while a read takes 160 ms.
   * No more, as who invents key ids holds up so many of your server's threads, and the one that reads. Lower it where there are few: Tomcat has 200.
   */
  private static final int KEYS_MAX_WAITING = 16;

  /** Why, for your log; a caller learns nothing but 401. */
  public static final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    Refused(String reason) {
      super(reason, null, false, false);
    }
  }

  private final String issuer;
  private final String audience;
  private final String type;
  private final Clock clock;
  private final Callable<String> readKeySet;
  private final LongSupplier nanoTime;
  /** For those below; never held while the key set is read. */
  private final Object lock = new Object();
  private Map<String, ECPublicKey> keys = Map.of();
  /** When the last read ended, whatever came of it. */
  private long readAtNanos;
  private boolean hasRead;
  /** When the last read ended that gave keys; of no meaning while none are held. */
  private long keysAtNanos;
  /** Whether the last read took longer than the pause before the next. */
  private boolean wasSlow;
  /** Zero when the read under way ends; null while there is none. */
  private CountDownLatch reading;
  /** Threads that have begun to wait for it. */
  private int waiting;

  public PassportVerifier(String issuer, String audience, URI keySet) {
    this(issuer, audience, "passport+jwt", Clock.systemUTC(), () -> fetch(keySet));
  }

  /** {@code type} is {@code txntoken+jwt} for an audience that gets Transaction Tokens; {@code readKeySet} gives the key set's text. */
  public PassportVerifier(String issuer, String audience, String type, Clock clock, Callable<String> readKeySet) {
    this(issuer, audience, type, clock, readKeySet, System::nanoTime);
  }

  /** {@code nanoTime} is a clock that nobody sets: the age of the keys goes by it. */
  PassportVerifier(
      String issuer, String audience, String type, Clock clock, Callable<String> readKeySet, LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
    this.issuer = issuer;
    this.audience = audience;
    this.type = type;
    this.clock = clock;
    this.readKeySet = readKeySet;
  }

  /** Takes all values of the header and gives the claims of a good passport: text, Long, Double, Boolean, List, Map or null. */
  public Map<String, Object> verify(List<String> values) throws Refused {
    if (values.isEmpty()) throw new Refused("no passport");
    String token = values.get(0);
    // Some proxies join repeated headers with a comma, which no token holds.
    if (values.size() > 1 || token.indexOf(',') >= 0) throw new Refused("more than one passport");
    String[] parts = token.split("\\.", -1);
    if (token.length() > MAX_LENGTH || parts.length != 3) throw new Refused("not a JWT");
    byte[] head = decode(parts[0]);
    byte[] body = decode(parts[1]);
    byte[] signature = decode(parts[2]);
    Map<String, Object> header = parseObject(head);
    Map<String, Object> claims = parseObject(body);
    checkHeader(header);
    ECPublicKey key = find((String) header.get("kid"));
    if (key == null) throw new Refused("unknown key");
    checkSignature(key, signature, token.substring(0, token.lastIndexOf('.')));
    checkClaims(claims);
    return claims;
  }

  private void checkHeader(Map<String, Object> header) throws Refused {
    if (!ALGORITHM.equals(header.get("alg"))) throw new Refused("another algorithm");
    if (!type.equals(header.get("typ"))) throw new Refused("another type of token");
    if (!isText(header.get("kid"))) throw new Refused("no key id");
    // These three and nothing else: no `crit`, `jku`, `jwk` or `x5u` is even looked at.
    if (header.size() != 3) throw new Refused("unexpected header");
  }

  private void checkClaims(Map<String, Object> claims) throws Refused {
    long now = Math.floorDiv(clock.millis(), 1000);
    if (!issuer.equals(claims.get("iss"))) throw new Refused("another issuer");
    if (!audience.equals(claims.get("aud"))) throw new Refused("made for another audience");
    if (!isText(claims.get("sub"))) throw new Refused("no subject");
    for (String name : List.of("iat", "nbf", "exp"))
      if (!(claims.get(name) instanceof Long)) throw new Refused("no times");
    long iat = (Long) claims.get("iat");
    long nbf = (Long) claims.get("nbf");
    long exp = (Long) claims.get("exp");
    if (exp <= now - SKEW_S) throw new Refused("expired");
    if (iat > now + SKEW_S || nbf > now + SKEW_S) throw new Refused("not yet valid");
    // Neither is far away any more, so this cannot overflow; iat may be long ago.
    if (iat < exp - MAX_LIFETIME_S) throw new Refused("lives too long");
  }

  private static boolean isText(Object value) {
    return value instanceof String && !((String) value).isEmpty();
  }

  private static void checkSignature(ECPublicKey key, byte[] signature, String signed) throws Refused {
    try {
      // r and s side by side, as JWS has them (RFC 7518 §3.4).
      Signature verifier = Signature.getInstance("SHA256withECDSAinP1363Format");
      verifier.initVerify(key);
      verifier.update(signed.getBytes(StandardCharsets.US_ASCII));
      if (!isInRange(key, signature) || !verifier.verify(signature)) throw new Refused("bad signature");
    } catch (GeneralSecurityException malformed) {
      throw new Refused("bad signature");
    }
  }

  /** 64 bytes, r and s from 1 to below the order: JDK 15 to 18 without the fixes of April 2022 take zeros for anybody's signature (CVE-2022-21449). */
  private static boolean isInRange(ECPublicKey key, byte[] signature) {
    if (signature.length != 64) return false;
    BigInteger order = key.getParams().getOrder();
    for (int from = 0; from < 64; from += 32) {
      BigInteger half = new BigInteger(1, Arrays.copyOfRange(signature, from, from + 32));
      if (half.signum() == 0 || half.compareTo(order) >= 0) return false;
    }
    return true;
  }

  /** One thread reads the key set; the others go by the keys that are held, and never wait for it where theirs is among them. */
  private ECPublicKey find(String kid) {
    CountDownLatch underWay;
    long nowNanos;
    synchronized (lock) {
      ECPublicKey key = keys.get(kid);
      long dueMs = key == null ? KEYS_MIN_INTERVAL_MS : KEYS_MAX_AGE_MS;
      nowNanos = nanoTime.getAsLong();
      underWay = reading;
      if (underWay == null) {
        if (hasRead && msBetween(readAtNanos, nowNanos) <= dueMs) return key;
        reading = new CountDownLatch(1);
        waiting = 0;
      } else if (key != null || !mayWait(nowNanos)) {
        return key;
      } else {
        waiting++;
      }
    }
    if (underWay == null) refresh(nowNanos);
    else await(underWay);
    synchronized (lock) {
      return keys.get(kid);
    }
  }

  /** All may where nothing is held, or nothing new enough; but while the key set hangs, threads would wait most of the time. */
  private boolean mayWait(long nowNanos) {
    boolean isOld = msBetween(keysAtNanos, nowNanos) > KEYS_MAX_AGE_MS;
    return keys.isEmpty() || (isOld && !wasSlow) || waiting < KEYS_MAX_WAITING;
  }

  private static long msBetween(long fromNanos, long toNanos) {
    return (toNanos - fromNanos) / 1_000_000;
  }

  private void refresh(long beganAtNanos) {
    Map<String, ECPublicKey> read = null;
    try {
      read = importKeys(readKeySet.call());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    } catch (Exception failure) {
      // The keys we have stay good; a backend that has none refuses everything until the gateway answers.
    } finally {
      synchronized (lock) {
        readAtNanos = nanoTime.getAsLong();
        hasRead = true;
        wasSlow = msBetween(beganAtNanos, readAtNanos) > KEYS_MIN_INTERVAL_MS;
        if (read != null) {
          keys = read;
          keysAtNanos = readAtNanos;
        }
        reading.countDown();
        reading = null;
      }
    }
  }

  private static void await(CountDownLatch underWay) {
    try {
      underWay.await(KEYS_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Keys that are not exactly ES256 public keys are left out, and so are those that cannot be read; a kid that occurs twice is trusted in neither. */
  private static Map<String, ECPublicKey> importKeys(String text) throws Exception {
    Map<String, ECPublicKey> imported = new HashMap<>();
    Set<String> seen = new HashSet<>();
    for (Object each : (List<?>) ((Map<?, ?>) new Json(text).parse()).get("keys")) {
      if (!(each instanceof Map)) continue;
      Map<?, ?> jwk = (Map<?, ?>) each;
      Object kid = jwk.get("kid");
      boolean isOurs = "EC".equals(jwk.get("kty")) && "P-256".equals(jwk.get("crv")) && !jwk.containsKey("d");
      Object alg = jwk.containsKey("alg") ? jwk.get("alg") : ALGORITHM;
      Object use = jwk.containsKey("use") ? jwk.get("use") : "sig";
      if (!isOurs || !ALGORITHM.equals(alg) || !"sig".equals(use) || !isText(kid)) continue;
      ECPublicKey key = importKey(jwk.get("x"), jwk.get("y"));
      if (!seen.add((String) kid) || key == null) imported.remove(kid);
      else imported.put((String) kid, key);
    }
    return imported;
  }

  /** Null for what is no point on the curve: one such key is no reason to do without the others. */
  private static ECPublicKey importKey(Object x, Object y) throws GeneralSecurityException {
    AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
    parameters.init(new ECGenParameterSpec("secp256r1"));
    ECParameterSpec curve = parameters.getParameterSpec(ECParameterSpec.class);
    try {
      ECPoint point = new ECPoint(coordinate(x), coordinate(y));
      if (!isOn(curve.getCurve(), point)) return null;
      return (ECPublicKey) KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(point, curve));
    } catch (InvalidKeySpecException | Refused malformed) {
      return null;
    }
  }

  private static BigInteger coordinate(Object text) throws Refused {
    if (!isText(text)) throw new Refused("not a JWT");
    return new BigInteger(1, decode((String) text));
  }

  /** y² = x³ + ax + b: the JDK does not look. */
  private static boolean isOn(EllipticCurve curve, ECPoint point) {
    BigInteger p = ((ECFieldFp) curve.getField()).getP();
    BigInteger x = point.getAffineX();
    BigInteger y = point.getAffineY();
    if (x.compareTo(p) >= 0 || y.compareTo(p) >= 0) return false;
    BigInteger right = x.pow(3).add(curve.getA().multiply(x)).add(curve.getB());
    return y.multiply(y).subtract(right).mod(p).signum() == 0;
  }

  /** Asynchronous, so that its time ends the body too: that of the request ends with the headers, and a body that never ends would be waited for without end. */
  static String fetch(URI keySet) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(keySet).timeout(KEYS_TIMEOUT).build();
    CompletableFuture<HttpResponse<String>> asked = CLIENT.sendAsync(request, HttpResponse.BodyHandlers.ofString());
    try {
      HttpResponse<String> response = asked.get(KEYS_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
      if (response.statusCode() != 200) throw new IOException("The key set answered " + response.statusCode());
      return response.body();
    } finally {
      asked.cancel(true);
    }
  }

  private static final HttpClient CLIENT =
      HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER).connectTimeout(KEYS_TIMEOUT).build();

  /** base64url in the one spelling of its bytes (RFC 4648 §3.5): with others, one token would have many. */
  private static byte[] decode(String part) throws Refused {
    try {
      byte[] decoded = Base64.getUrlDecoder().decode(part);
      String again = Base64.getUrlEncoder().withoutPadding().encodeToString(decoded);
      if (part.isEmpty() || !again.equals(part)) throw new Refused("not a JWT");
      return decoded;
    } catch (IllegalArgumentException malformed) {
      throw new Refused("not a JWT");
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> parseObject(byte[] bytes) throws Refused {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      Object value = new Json(text).parse();
      if (value instanceof Map) return (Map<String, Object>) value;
    } catch (CharacterCodingException | Json.Malformed malformed) {
      // Said below.
    }
    throw new Refused("not a JWT");
  }

  /** JSON (RFC 8259), which the JDK cannot read. Use your backend's own library in its place if you like; it must tell whole numbers from others. */
  static final class Json {
    static final class Malformed extends Exception {
      private static final long serialVersionUID = 1;
    }

    private static final int MAX_DEPTH = 50;
    private final String text;
    private int at;

    Json(String text) {
      this.text = text;
    }

    Object parse() throws Malformed {
      Object value = value(0);
      skipSpace();
      if (at != text.length()) throw new Malformed();
      return value;
    }

    private Object value(int depth) throws Malformed {
      if (depth > MAX_DEPTH) throw new Malformed();
      skipSpace();
      switch (peek()) {
        case '{':
          return object(depth);
        case '[':
          return list(depth);
        case '"':
          return string();
        case 't':
          return word("true", Boolean.TRUE);
        case 'f':
          return word("false", Boolean.FALSE);
        case 'n':
          return word("null", null);
        default:
          return number();
      }
    }

    private Map<String, Object> object(int depth) throws Malformed {
      Map<String, Object> members = new LinkedHashMap<>();
      at++;
      if (isNext('}')) return members;
      do {
        skipSpace();
        if (peek() != '"') throw new Malformed();
        String name = string();
        if (!isNext(':')) throw new Malformed();
        members.put(name, value(depth + 1));
      } while (isNext(','));
      if (!isNext('}')) throw new Malformed();
      return members;
    }

    private List<Object> list(int depth) throws Malformed {
      List<Object> items = new ArrayList<>();
      at++;
      if (isNext(']')) return items;
      do items.add(value(depth + 1));
      while (isNext(','));
      if (!isNext(']')) throw new Malformed();
      return items;
    }

    private String string() throws Malformed {
      StringBuilder read = new StringBuilder();
      for (at++; peek() != '"'; at++) {
        char each = peek();
        if (each < 0x20) throw new Malformed();
        read.append(each == '\\' ? escaped() : each);
      }
      at++;
      return read.toString();
    }

    private char escaped() throws Malformed {
      at++;
      char kind = peek();
      int simple = "\"\\/bfnrt".indexOf(kind);
      if (simple >= 0) return "\"\\/\b\f\n\r\t".charAt(simple);
      String hex = kind == 'u' && at + 4 < text.length() ? text.substring(at + 1, at + 5) : "";
      if (!hex.matches("[0-9A-Fa-f]{4}")) throw new Malformed();
      at += 4;
      return (char) Integer.parseInt(hex, 16);
    }

    /** A whole number that fits is a Long, any other a Double. */
    private Object number() throws Malformed {
      int from = at;
      while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) at++;
      String read = text.substring(from, at);
      if (!read.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) throw new Malformed();
      return read.matches("-?[0-9]{1,18}") ? (Object) Long.valueOf(read) : (Object) Double.valueOf(read);
    }

    private Object word(String word, Object value) throws Malformed {
      if (!text.startsWith(word, at)) throw new Malformed();
      at += word.length();
      return value;
    }

    private boolean isNext(char wanted) {
      skipSpace();
      if (at >= text.length() || text.charAt(at) != wanted) return false;
      at++;
      return true;
    }

    private void skipSpace() {
      while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) at++;
    }

    private char peek() throws Malformed {
      if (at >= text.length()) throw new Malformed();
      return text.charAt(at);
    }
  }
}
