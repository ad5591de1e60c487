import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;

/**
 * {@code javac -d target docs/verify/java/*.java && java -cp target RunVectors docs/verify/vectors.json}: tries the verifier against every vector; ends with 1 when
 * one comes out otherwise.
 */
final class RunVectors {
  public static void main(String[] arguments) throws Exception {
    String text = Files.readString(Path.of(arguments[0]));
    Map<?, ?> document = (Map<?, ?>) new PassportVerifier.Json(text).parse();
    Map<?, ?> keySets = (Map<?, ?>) document.get("keySets");
    List<?> vectors = (List<?>) document.get("vectors");
    int wrong = 0;
    for (Object each : vectors) {
      Map<?, ?> vector = (Map<?, ?>) each;
      String said = said(document, vector, textOf(keySets.get(vector.get("keySet"))));
      String wanted = vector.containsKey("reason") ? (String) vector.get("reason") : "";
      if (said.equals(wanted)) continue;
      wrong++;
      System.err.println(vector.get("name") + ": " + or(said) + ", should be " + or(wanted));
    }
    System.out.println("java: " + (vectors.size() - wrong) + " of " + vectors.size() + " vectors as they should be");
    System.exit(wrong == 0 ? 0 : 1);
  }

  /** Empty for accepted, else the reason. */
  private static String said(Map<?, ?> document, Map<?, ?> vector, String keySet) {
    Clock clock = Clock.fixed(Instant.ofEpochSecond((Long) vector.get("now")), ZoneOffset.UTC);
    PassportVerifier verifier =
        new PassportVerifier(
            (String) document.get("issuer"), (String) document.get("audience"), "passport+jwt", clock, () -> keySet);
    try {
      verifier.verify(List.of((String) vector.get("token")));
      return "";
    } catch (PassportVerifier.Refused refused) {
      return refused.getMessage();
    }
  }

  private static String or(String reason) {
    return reason.isEmpty() ? "accepted" : reason;
  }

  /** The key sets hold objects, lists and plain text. */
  private static String textOf(Object value) {
    StringBuilder text = new StringBuilder();
    if (value instanceof Map) {
      for (Map.Entry<?, ?> member : ((Map<?, ?>) value).entrySet())
        text.append(text.length() == 0 ? "{" : ",").append(textOf(member.getKey())).append(':').append(textOf(member.getValue()));
      return text.append('}').toString();
    }
    if (value instanceof List) {
      for (Object item : (List<?>) value) text.append(text.length() == 0 ? "[" : ",").append(textOf(item));
      return text.append(']').toString();
    }
    return "\"" + value + "\"";
  }
}
