// PDF/A judged by veraPDF: java -cp 'JARS/*' Validate.java FILE LEVEL ...; a line per file and broken rule.
import java.io.FileInputStream;
import java.util.Map;
import java.util.TreeMap;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

public class Validate {
  public static void main(String[] args) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    for (int i = 0; i < args.length; i += 2) {
      String name = args[i];
      PDFAFlavour level = PDFAFlavour.fromString(args[i + 1]);
      try (FileInputStream file = new FileInputStream(name);
          PDFAParser parser = Foundries.defaultInstance().createParser(file, level);
          PDFAValidator validator = Foundries.defaultInstance().createValidator(level, false)) {
        ValidationResult result = validator.validate(parser);
        System.out.println("judged\t" + name + "\t" + result.isCompliant());
        Map<String, Integer> broken = new TreeMap<>();
        for (TestAssertion each : result.getTestAssertions()) {
          String rule = each.getRuleId().getClause() + "-" + each.getRuleId().getTestNumber();
          broken.merge(rule + " " + each.getMessage().replaceAll("\\s+", " "), 1, Integer::sum);
        }
        broken.forEach((rule, times) -> System.out.println("broken\t" + name + "\t" + times + "x " + rule));
      }
    }
  }
}
