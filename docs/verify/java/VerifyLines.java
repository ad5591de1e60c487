import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;

/** {@code java -cp target VerifyLines}: does what it is told line by line, as docs/verify/README.md says, so that a test can have it do several things at once. */
final class VerifyLines {
  private static volatile double wallS;
  private static volatile double monotonicS;

  public static void main(String[] arguments) throws Exception {
    PassportVerifier verifier = null;
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      List<String> words = List.of(line.split(" "));
      if (words.get(0).equals("verifier")) {
        verifier = verifier(words.get(1), words.get(2), URI.create(words.get(3)));
      } else if (words.get(0).equals("clocks")) {
        wallS = Double.parseDouble(words.get(1));
        monotonicS = Double.parseDouble(words.get(2));
      } else {
        PassportVerifier chosen = verifier;
        new Thread(() -> System.out.println(words.get(1) + " " + said(chosen, words.subList(2, words.size())))).start();
      }
    }
    Runtime.getRuntime().halt(0);
  }

  private static PassportVerifier verifier(String issuer, String audience, URI keySet) {
    return new PassportVerifier(
        issuer,
        audience,
        "passport+jwt",
        WALL,
        () -> PassportVerifier.fetch(keySet),
        () -> (long) (monotonicS * 1e9));
  }

  private static String said(PassportVerifier verifier, List<String> passports) {
    try {
      verifier.verify(passports);
      return "accepted";
    } catch (PassportVerifier.Refused refused) {
      return refused.getMessage();
    }
  }

  private static final Clock WALL =
      new Clock() {
        @Override
        public Instant instant() {
          return Instant.ofEpochMilli((long) (wallS * 1000));
        }

        @Override
        public ZoneId getZone() {
          return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
          return this;
        }
      };
}
